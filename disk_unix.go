//go:build unix

package pinion

import "golang.org/x/sys/unix"

// freeBytes is what an unprivileged user may still write below path.
func freeBytes(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil //nolint:gosec // a block size is never negative
}
