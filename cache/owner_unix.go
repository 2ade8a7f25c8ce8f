//go:build unix

package cache

import (
	"io/fs"
	"os"
	"syscall"
)

func ownedByUs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int64(st.Uid) == int64(os.Geteuid())
}

func writableByOthers(info fs.FileInfo) bool {
	return info.Mode().Perm()&0o022 != 0
}
