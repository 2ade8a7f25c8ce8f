package parts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
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

// limitMemory makes the control group with a limit of its memory, if there is one.
func limitMemory(name string, bytes int64) error {
	if bytes == 0 {
		return nil
	}
	dir, file := filepath.Join("/sys/fs/cgroup/memory", name), "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil { // version 2
		dir, file = filepath.Join("/sys/fs/cgroup", name), "memory.max"
	}
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(bytes, 10)), 0o600)
	}
	if err != nil {
		return fmt.Errorf("limit memory: %w", errors.Join(err, removeCgroups(name)))
	}
	return nil
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
