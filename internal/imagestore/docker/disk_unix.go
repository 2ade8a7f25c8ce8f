//go:build unix

package docker

import (
	"golang.org/x/sys/unix"
)

// FreeBytes is what an unprivileged user may still write below path.
func FreeBytes(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil //nolint:gosec // a block size is never negative
}
