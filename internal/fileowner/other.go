//go:build !unix

// Package fileowner tells whose a file is.
package fileowner

import "io/fs"

// Ours is true: there is no owner to be compared with the user that this process runs as.
func Ours(fs.FileInfo) bool { return true }
