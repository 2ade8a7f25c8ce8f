// Package detached starts a process that outlives this one.
//
// It guarantees that neither the end of this process nor a signal of its terminal reaches the other
// one, and that the other one holds none of this one's files: a pipe that somebody reads from this
// process ends with it.
package detached

import "os/exec"

// Start starts a program in the current folder. Its stdin is empty, and what it prints is lost.
func Start(program string, args, env []string) error {
	cmd := exec.Command(program, args...) //nolint:noctx // it has no end in this process
	cmd.Env = env
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
