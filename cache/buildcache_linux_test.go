package cache_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/test/disktest"
)

// TestFault65_TrimOnAFullDisk: what is removed needs no space, and the report is true.
func TestFault65_TrimOnAFullDisk(t *testing.T) {
	dir := disktest.Small(t, "size=2m")
	c := openBuildCacheIn(t, filepath.Join(dir, "cache"), cacheLine)
	other := openBuildCacheIn(t, filepath.Join(dir, "cache"), "fedcba9876543210")
	c.save(t, "1", "base", strings.Repeat("a", 200_000))
	other.save(t, "2", strings.Repeat("b", 200_000))
	c.save(t, "3", "base", strings.Repeat("c", 200_000))
	disktest.Fill(t, filepath.Join(dir, "other"))
	for _, want := range []struct {
		limits cache.Limits
		left   int
	}{
		{cache.Limits{Keep: 1, MaxSize: all}, 2},
		{cache.Limits{Keep: 1, MaxSize: 1}, 0},
	} {
		_, before, err := c.dir.BuildCaches()
		if err != nil {
			t.Fatal(err)
		}
		r := c.trim(t, want.limits)
		entries, size, err := c.dir.BuildCaches()
		if err != nil || len(entries) != want.left || len(r.Kept) != want.left ||
			r.Remaining != size || r.Reclaimed != before-size {
			t.Errorf("%d bytes and then %d, %+v, %v; report %+v", before, size, entries, err, r)
		}
	}
}

// TestTrimThatFails: a line that cannot be trimmed is reported as it is. The others are trimmed.
func TestTrimThatFails(t *testing.T) {
	dir := disktest.Small(t, "size=2m")
	c := openBuildCacheIn(t, filepath.Join(dir, "cache"), cacheLine)
	other := openBuildCacheIn(t, filepath.Join(dir, "cache"), "fedcba9876543210")
	c.save(t, "1", "one")
	other.save(t, "2", "two")
	if err := unix.Mount(c.path, c.path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(c.path, unix.MNT_DETACH) })
	if err := unix.Mount("", c.path, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY,
		""); err != nil {
		t.Fatal(err)
	}
	r, err := c.dir.TrimBuildCaches(t.Context(), cache.Limits{})
	if !errors.Is(err, syscall.EROFS) || len(r.Removed) != 1 || r.Removed[0].Revision != "2" ||
		len(r.Kept) != 1 || r.Kept[0].Revision != "1" || r.Busy != 0 || r.Remaining == 0 {
		t.Errorf("report %+v, error %v", r, err)
	}
	c.wantImports(t, "1", "1")
}

// TestTrimOpensFewFiles: the number of lines does not matter.
func TestTrimOpensFewFiles(t *testing.T) {
	c := openBuildCache(t)
	const lines = 150
	for i := range lines {
		openBuildCacheIn(t, c.dir.Path(), fmt.Sprintf("%016x", i)).save(t, "1", "layer")
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = uint64(len(open) + 20)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Skip(err)
	}
	r, err := c.dir.TrimBuildCaches(t.Context(), cache.Limits{Keep: 3, MaxSize: 1})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err != nil || r.Busy != 0 || len(r.Removed) != lines || r.Remaining != 0 {
		t.Errorf("%d busy, %d removed, %d bytes remain; error %v", r.Busy, len(r.Removed),
			r.Remaining, err)
	}
}
