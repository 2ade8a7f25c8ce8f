//go:build !linux

package parts

import "syscall"

// Elsewhere only the parts that need no namespaces run; requireRoot keeps the others from getting
// here.

func attributes(bool) *syscall.SysProcAttr { return nil }

func isolate(c command) (string, []string) { return c.path, c.args }

func (p *process) signal(sig syscall.Signal) error { return p.proc.Signal(sig) }
