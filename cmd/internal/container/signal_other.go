//go:build !unix

package container

import (
	"os"
	"syscall"
)

func forwarded() map[os.Signal]string {
	return map[os.Signal]string{os.Interrupt: "INT", syscall.SIGTERM: "TERM"}
}

// resizeSignals returns none: this system has no such signal.
func resizeSignals() []os.Signal { return nil }
