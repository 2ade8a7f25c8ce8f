package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// helper is the name of the daemon's program.
const helper = "pinion-buildkitd"

// preflight checks the requirements of a daemon. Its errors say how to meet them.
func (m *Manager) preflight() error {
	if err := rights(); err != nil {
		return err
	}
	for _, name := range []string{"runc", "git"} {
		if _, err := m.lookPath(name); err != nil {
			return fmt.Errorf("%w: %s is not on the PATH; install it (Debian and Ubuntu: "+
				"`apt-get install %s`, Fedora: `dnf install %s`)",
				ErrMissingProgram, name, name, name)
		}
	}
	return nil
}

func rights() error {
	const others = "or use a Docker engine, or another builder with --addr or BUILDKIT_HOST (a " +
		"rootless buildkitd, docker-container://, ssh:// or tcp://)"
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("%w: it requires root, this is user %d, and rootless mode is not "+
			"supported yet; run pinion as root, %s", ErrRights, uid, others)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("get the capabilities of this process: %w", err)
	}
	if sets[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 {
		return fmt.Errorf("%w: this root may not mount (CAP_SYS_ADMIN is missing), as in a "+
			"container without --privileged; use --privileged, %s", ErrRights, others)
	}
	return nil
}

// command returns the daemon's program and its first arguments.
func (m *Manager) command() ([]string, error) {
	if len(m.program) > 0 {
		return m.program, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), helper)
		if executable(beside) == nil {
			return []string{beside}, nil
		}
	}
	path, err := m.lookPath(helper)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is neither beside pinion nor on the PATH; it is part of "+
			"pinion's releases, and `make build` builds it", ErrMissingProgram, helper)
	}
	return []string{path}, nil
}

// lookPath is exec.LookPath for the manager's PATH.
func (m *Manager) lookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(m.get("PATH")) {
		if !filepath.IsAbs(dir) {
			continue // a program that runs as root must not depend on the working folder
		}
		if path := filepath.Join(dir, name); executable(path) == nil {
			return path, nil
		}
	}
	return "", os.ErrNotExist
}

func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return errors.New("not executable")
	}
	return nil
}
