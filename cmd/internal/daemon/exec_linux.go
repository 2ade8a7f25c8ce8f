package daemon

import (
	"os"
	"syscall"
)

// Exec makes this process the daemon's program, with the arguments. It returns only if it fails.
func (m *Manager) Exec(args []string) error {
	command, err := m.command()
	if err == nil {
		// handed on as it is
		err = syscall.Exec(command[0], append(command[:len(command):len(command)], args...),
			os.Environ()) //nolint:forbidigo
	}
	return &Error{Op: "start", Err: err}
}
