//go:build linux || darwin || freebsd

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
	// FreeBSD counts below zero what is reserved for root.
	//nolint:gosec,unconvert // a block size is never negative; the types differ by system
	return uint64(max(s.Bavail, 0)) * uint64(s.Bsize), nil
}
