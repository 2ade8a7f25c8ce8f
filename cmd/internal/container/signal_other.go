//go:build !unix

package container

import (
	"os"
	"syscall"
)

func forwarded() map[os.Signal]string {
	return map[os.Signal]string{os.Interrupt: "INT", syscall.SIGTERM: "TERM"}
}

// resized is empty: this system does not tell.
func resized() []os.Signal { return nil }
