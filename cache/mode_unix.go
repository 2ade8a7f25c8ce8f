//go:build unix

package cache

import "io/fs"

// writableByOthers reports whether the group or others may write.
func writableByOthers(info fs.FileInfo) bool {
	return info.Mode().Perm()&0o022 != 0
}
