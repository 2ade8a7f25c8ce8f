package buildx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// someBuilder is a folder of buildx's with a builder, and an empty folder for temporary files.
func someBuilder(t *testing.T) (f Folder, b Builder, tmp string) {
	t.Helper()
	dir, tmp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp)
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "instances"), 0o700),
		os.WriteFile(filepath.Join(dir, "instances", "far"), []byte(`{"Name":"Far"}`),
			0o600)); err != nil {
		t.Fatal(err)
	}
	return At(dir), Builder{Name: "Far"}, tmp
}

func makeCopy(t *testing.T, f Folder, b Builder) *workingCopy {
	t.Helper()
	c, err := f.copyOf(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.remove)
	return c
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// The next use removes only the copies that killed processes left.
func TestCopiesThatWereLeft(t *testing.T) {
	f, b, tmp := someBuilder(t)
	living, killed := makeCopy(t, f, b), makeCopy(t, f, b)
	if err := killed.lock.Close(); err != nil { // as the kernel does it
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "theirs")
	bare, link, file, other := filepath.Join(tmp, copyPrefix+"bare"),
		filepath.Join(tmp, copyPrefix+"link"), filepath.Join(tmp, copyPrefix+"file"),
		filepath.Join(tmp, "pinion-other")
	if err := errors.Join(os.Mkdir(bare, 0o700), os.Mkdir(elsewhere, 0o700), os.Mkdir(other, 0o700),
		os.WriteFile(file, nil, 0o600), os.Symlink(elsewhere, link)); err != nil {
		t.Fatal(err)
	}
	next := makeCopy(t, f, b)
	for path, want := range map[string]bool{
		living.dir: true, filepath.Join(living.dir, "instances", "far"): true, next.dir: true,
		killed.dir: false, bare: false, // killed before it had the lock
		link: true, elsewhere: true, file: true, other: true,
		filepath.Join(elsewhere, copyLock): false,
	} {
		if got := isThere(path); got != want {
			t.Errorf("%s is there: %t", path, got)
		}
	}
	next.remove()
	if isThere(next.dir) {
		t.Error("a copy that was removed is there")
	}
}

// A sweep leaves copies alone that are being made.
func TestCopiesSideBySide(t *testing.T) {
	f, b, tmp := someBuilder(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 30 {
				c, err := f.copyOf(b)
				if err != nil {
					t.Error(err)
					return
				}
				if raw, err := os.ReadFile(filepath.Join(c.dir, "instances", "far")); err != nil ||
					!strings.Contains(string(raw), "Far") {
					t.Errorf("%q, %v", raw, err)
				}
				c.remove()
			}
		})
	}
	all.Wait()
	if leftovers, err := os.ReadDir(tmp); err != nil || len(leftovers) > 0 {
		t.Errorf("left behind: %q, %v", leftovers, err)
	}
}
