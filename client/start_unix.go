//go:build unix

package client

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// detach makes the process the leader of a session of its own.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// checkFolder refuses a folder in which another user could put a socket.
func checkFolder(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", path)
	case ok && int(owner.Uid) != os.Getuid():
		return fmt.Errorf("%s belongs to another user", path)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s is writable by others: its mode is %04o", path, info.Mode().Perm())
	}
	return nil
}
