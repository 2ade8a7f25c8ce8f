//go:build linux || darwin || freebsd

package diskspace

import (
	"golang.org/x/sys/unix"
)

// Of measures the file system of a path. What is reserved for root counts as neither free nor used,
// as in df.
func Of(path string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Space{}, err
	}
	// FreeBSD counts below zero what is reserved for root. The types differ by system.
	//nolint:gosec,unconvert // no file system has 2^63 bytes
	free, used, block := max(int64(s.Bavail), 0), int64(s.Blocks)-int64(s.Bfree), int64(s.Bsize)
	return Space{Free: free * block, Total: (free + used) * block}, nil
}
