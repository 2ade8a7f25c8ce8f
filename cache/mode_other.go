//go:build !unix

package cache

import "io/fs"

// writableByOthers returns false: a folder below the user's profile inherits
// access lists, and mode bits have no meaning.
func writableByOthers(fs.FileInfo) bool { return false }
