//go:build unix

// Package fileowner tells whose a file is.
package fileowner

import (
	"io/fs"
	"os"
	"syscall"
)

// Ours says whether the file belongs to the user that this process runs as.
func Ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int64(st.Uid) == int64(os.Geteuid())
}
