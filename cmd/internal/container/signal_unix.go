//go:build unix

package container

import (
	"os"
	"syscall"
)

func forwarded() map[os.Signal]string {
	return map[os.Signal]string{
		syscall.SIGINT: "INT", syscall.SIGTERM: "TERM", syscall.SIGHUP: "HUP",
		syscall.SIGQUIT: "QUIT",
		syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2",
	}
}

// resizeSignals returns the signal for a change of the terminal's size.
func resizeSignals() []os.Signal { return []os.Signal{syscall.SIGWINCH} }
