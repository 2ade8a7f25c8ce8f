package parts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// cgroupPrefix starts the names of the control groups in which our daemons put their containers.
const cgroupPrefix = "pinion"

// newCgroup names a control group; the daemon makes it. It first removes those of killed processes.
func newCgroup() string {
	for _, top := range findCgroups(cgroupPrefix + "*") {
		if orphaned(filepath.Base(top), cgroupPrefix) {
			_ = removeGroup(top) // two processes may try; one of them wins
		}
	}
	return unique(cgroupPrefix)
}

// removeCgroups removes the empty control groups called name from each hierarchy.
func removeCgroups(name string) error {
	var failed error
	for _, top := range findCgroups(name) {
		failed = errors.Join(failed, removeGroup(top))
	}
	return failed
}

// findCgroups returns the folders that match pattern at the top of each hierarchy: version 2 has
// one, version 1 one for each controller.
func findCgroups(pattern string) []string {
	unified, _ := filepath.Glob("/sys/fs/cgroup/" + pattern)
	separate, _ := filepath.Glob("/sys/fs/cgroup/*/" + pattern)
	return append(unified, separate...)
}

// removeGroup removes one control group and those below it. The files inside are the kernel's and
// go with their folder.
func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("remove control group: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove control group: %w", err)
	}
	return nil
}
