package cache_test

import (
	"os"
	"path/filepath"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
)

// TestDropBuildCaches drops one line of two, and nothing of one that is being read.
func TestDropBuildCaches(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "cache")
	mine := openBuildCacheIn(t, folder, "mine")
	other := openBuildCacheIn(t, folder, "other")
	for _, c := range []buildCache{mine, other} {
		c.save(t, "a", "a", "base")
		c.save(t, "b", "b", "base")
	}
	drop := func(dry bool) cache.Trimmed {
		t.Helper()
		r, err := mine.dir.DropBuildCaches(t.Context(), func(line, name string) bool {
			return line == "mine" && name == template
		}, dry)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	_, _, release, err := mine.Imports(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if r := drop(false); r.Busy != 1 || len(r.Removed) != 0 || len(r.Kept) != 4 {
		t.Errorf("in use: %+v", r)
	}
	release()
	dry := drop(true)
	mine.wantImports(t, "b", "b", "a")
	done := drop(false)
	for _, r := range []cache.Trimmed{dry, done} {
		if len(r.Removed) != 2 || len(r.Kept) != 2 || r.Reclaimed <= 0 || r.Remaining <= 0 ||
			r.Busy != 0 {
			t.Errorf("%+v", r)
		}
	}
	if _, err := os.Stat(mine.path); !os.IsNotExist(err) {
		t.Errorf("the folder: %v", err)
	}
	other.wantImports(t, "b", "b", "a")
	mine.save(t, "c", "c")
	mine.wantImports(t, "c", "c")
}
