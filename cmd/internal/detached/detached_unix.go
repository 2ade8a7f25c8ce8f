//go:build unix

package detached

import "syscall"

// attributes gives the process a session of its own, which has no terminal.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
