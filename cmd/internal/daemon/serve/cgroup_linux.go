package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroupParent returns the control group that contains the containers of a root's daemon.
func cgroupParent(root string) string {
	id := sha256.Sum256([]byte(root))
	return "pinion-buildkit-" + hex.EncodeToString(id[:4])
}

// removeCgroups removes the group and all groups below it, in the hierarchy of version 2 and in
// each of version 1. It ignores errors: the kernel refuses to remove a group that has processes.
func removeCgroups(parent string) {
	tops, _ := filepath.Glob(filepath.Join(cgroupRoot, "*", parent))
	for _, top := range append(tops, filepath.Join(cgroupRoot, parent)) {
		var dirs []string
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			_ = os.Remove(dir)
		}
	}
}
