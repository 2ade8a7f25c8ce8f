//go:build !unix

package cache

import "io/fs"

// Elsewhere a folder below the user's profile is guarded by access lists that
// it inherits, and mode bits say nothing.
func writableByOthers(fs.FileInfo) bool { return false }
