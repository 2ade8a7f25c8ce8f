package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

// parseImage reads the one object that `ensure --format json` printed.
func parseImage(t *testing.T, r result) pinion.Image {
	t.Helper()
	images := parseImages(t, r)
	if len(images) != 1 {
		t.Fatalf("%d objects in %q", len(images), r.stdout)
	}
	return images[0]
}

func parseImages(t *testing.T, r result) (images []pinion.Image) {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	for line := range strings.Lines(r.stdout) {
		var img pinion.Image
		if err := json.Unmarshal([]byte(line), &img); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		images = append(images, img)
	}
	return images
}

// lockFile is the only lock file of a recipe in the user's cache.
func (u user) lockFile(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(u.cacheDir(), "locks", "*"))
	files = slices.DeleteFunc(files, func(f string) bool {
		name := filepath.Base(f)
		return strings.HasPrefix(name, "buildkit-") || strings.HasPrefix(name, "save-")
	})
	if err != nil || len(files) != 1 {
		t.Fatalf("lock files are %q, %v", files, err)
	}
	return files[0]
}

// fileInfo describes a file; os.SameFile reports whether two of them describe one file.
func fileInfo(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
