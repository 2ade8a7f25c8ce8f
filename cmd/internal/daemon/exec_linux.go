package daemon

import (
	"os"
	"slices"
	"syscall"
)

// Exec replaces this process by the daemon's program, with the arguments. It returns only on
// failure.
func (m *Manager) Exec(args []string) error {
	command, err := m.command()
	if err == nil {
		// The environment is passed on unchanged.
		argv := append(slices.Clip(command), args...)
		err = syscall.Exec(command[0], argv, os.Environ())
	}
	return &Error{Op: "start", Err: err}
}
