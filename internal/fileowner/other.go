//go:build !unix

// Package fileowner compares the owner of a file with the user of this process.
//
// It guarantees nothing where the system has no such owners: there every file is Ours. It does not
// look at the file's mode or access lists.
package fileowner

import "io/fs"

// Ours returns true, since files have no owner that could be compared with the process's user.
func Ours(fs.FileInfo) bool { return true }
