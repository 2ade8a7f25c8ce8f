// Package diskspace measures file systems.
//
// It guarantees nothing about what others write meanwhile. On systems other than Linux, macOS and
// FreeBSD it measures nothing and says so.
package diskspace

// Space is the room on a file system, in bytes. It is comparable: two paths of one file system that
// nobody writes to have the same.
type Space struct {
	// Free is what an unprivileged user may still write.
	Free int64
	// Total is what such a user could write if the file system were empty.
	Total int64
}

// Use returns the part that is in use, from 0 to 1.
func (s Space) Use() float64 {
	if s.Total <= 0 {
		return 0
	}
	return float64(s.Total-s.Free) / float64(s.Total)
}

// Excess returns how many bytes must go until no more than a part of the file system is in use. It
// is not below 0.
func (s Space) Excess(use float64) int64 {
	return max(s.Total-s.Free-int64(use*float64(s.Total)), 0)
}
