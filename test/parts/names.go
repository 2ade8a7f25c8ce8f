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

// unique returns a name that no other part on this machine has: prefix, our process ID and a
// number.
func unique(prefix string) string {
	return fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), counter.Add(1))
}

// socketDir makes a folder for sockets. It is always in /tmp, since a socket's path has
// at most 107 bytes.
func socketDir() (string, error) {
	dir, err := os.MkdirTemp("/tmp", fmt.Sprintf("pinion%d-", os.Getpid()))
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
