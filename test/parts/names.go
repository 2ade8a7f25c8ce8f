package parts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// counter numbers what this process names in the system's shared spaces.
var counter atomic.Int64

// unique returns a name that no other part on this machine has: prefix, our process ID and a number.
func unique(prefix string) string {
	return fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), counter.Add(1))
}

// socketDir makes a folder for sockets. It is in /tmp, wherever other temporary files go: a socket's path has at most 107 bytes.
func socketDir() (string, error) {
	dir, err := os.MkdirTemp("/tmp", "pinion-")
	if err != nil {
		return "", fmt.Errorf("make a folder for sockets: %w", err)
	}
	return dir, nil
}

// orphaned says whether a name made by unique belongs to a process that is gone.
func orphaned(name, prefix string) bool {
	pid, _, ok := strings.Cut(strings.TrimPrefix(name, prefix), "-")
	if _, err := strconv.Atoi(pid); err != nil || !ok || !strings.HasPrefix(name, prefix) {
		return false
	}
	_, err := os.Stat(filepath.Join("/proc", pid))
	return errors.Is(err, fs.ErrNotExist)
}

// removeCgroups removes the empty control groups called name from each hierarchy, children first.
func removeCgroups(name string) error {
	var tops []string
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		found, err := filepath.Glob(pattern + name)
		if err != nil {
			return fmt.Errorf("remove control groups: %w", err)
		}
		tops = append(tops, found...)
	}
	var failed error
	for _, top := range tops {
		failed = errors.Join(failed, removeGroup(top))
	}
	return failed
}

// removeGroup removes one control group and those below it. The files inside are the kernel's and go with their folder.
func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("remove control group: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove control group: %w", err)
	}
	return nil
}
