package cache_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
)

// TestFault65_UnreadableLine: a disk that fails damages nothing. The line stays as it is, and the
// others are trimmed.
func TestFault65_UnreadableLine(t *testing.T) {
	c := openBuildCache(t)
	other := openBuildCacheIn(t, c.dir.Path(), "fedcba9876543210")
	c.save(t, "1", "one")
	other.save(t, "2", "two")
	blobs := filepath.Join(c.path, "blobs", "sha256")
	aside := filepath.Join(c.path, "aside")
	if err := errors.Join(os.Rename(blobs, aside), os.WriteFile(blobs, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	r, err := c.dir.TrimBuildCaches(t.Context(), cache.Limits{})
	if !errors.Is(err, syscall.ENOTDIR) || len(r.Removed) != 1 || r.Removed[0].Revision != "2" {
		t.Errorf("report %+v, error %v", r, err)
	}
	if err := c.Save(t.Context(), template, "3", false, exportOf("x")); err == nil {
		t.Error("saved where nothing can be read")
	}
	if err := c.Repair(t.Context()); err == nil {
		t.Error("repaired what cannot be read")
	}
	if err := errors.Join(os.Remove(blobs), os.Rename(aside, blobs)); err != nil {
		t.Fatal(err)
	}
	c.wantImports(t, "1", "1")
}

// TestTrimMakesUpForABusyLine: what is in use stays, and newer entries of other lines go instead.
func TestTrimMakesUpForABusyLine(t *testing.T) {
	c := openBuildCache(t)
	other := openBuildCacheIn(t, c.dir.Path(), "fedcba9876543210")
	c.save(t, "1", "one")
	other.save(t, "2", "two")
	_, _, release, err := c.Imports(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for _, dry := range []bool{true, false} {
		r := c.trim(t, cache.Limits{Keep: 3, MaxSize: 1, DryRun: dry})
		if r.Busy != 1 || len(r.Removed) != 1 || r.Removed[0].Revision != "2" ||
			len(r.Kept) != 1 || r.Kept[0].Revision != "1" {
			t.Errorf("dry %t: %+v", dry, r)
		}
	}
}
