package daemon

import (
	"os"
	"syscall"
)

// Exec replaces this process by the daemon's program, with the arguments. It returns only on
// failure.
func (m *Manager) Exec(args []string) error {
	command, err := m.command()
	if err == nil {
		// The environment is passed on unchanged.
		err = syscall.Exec(command[0], append(command[:len(command):len(command)], args...),
			os.Environ())
	}
	return &Error{Op: "start", Err: err}
}
