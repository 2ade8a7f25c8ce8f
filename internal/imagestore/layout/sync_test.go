package layout_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// TestFault43_NamesAreOnTheDiskLast: each file is written to the disk and then its folder, the
// blobs before the index, so that after a power cut no name leads to a missing blob. If the disk
// fails before the index is there, there is no name, and no blob is left.
func TestFault43_NamesAreOnTheDiskLast(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it does not write folders to the disk")
	}
	const ref = "molecule-local/x:1"
	image := storetest.NewLayered(t, "base", "top")
	f := openLayout(t, t.TempDir())
	var written []string
	f.SetSync(func(file *os.File) error {
		path := filepath.Clean(file.Name())
		written = append(written, filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path))
		return file.Sync()
	})
	f.receive(t, ref, image)
	var folders []string
	for pair := range slices.Chunk(written, 2) {
		if !strings.HasPrefix(pair[0], "tmp/") || strings.HasPrefix(pair[1], "tmp/") {
			t.Fatalf("written to the disk were %q", written)
		}
		folders = append(folders, filepath.Base(pair[1]))
	}
	blobs := len(f.blobs(t))
	root := filepath.Base(f.dir) // of the file that marks the layout, and of the index
	if want := append(slices.Repeat([]string{"sha256"}, blobs), root, root); !slices.Equal(
		folders[:min(len(folders), len(want))], want) {
		t.Errorf("the folders are %q, not %q at first", folders, want)
	}
	for failing := 1; failing < 2*(blobs+2); failing++ {
		f := openLayout(t, t.TempDir())
		n := 0
		f.SetSync(func(file *os.File) error {
			if n++; n == failing {
				return syscall.EIO
			}
			return file.Sync()
		})
		wantLayoutError(t, receiveInto(t.Context(), f.Layout, ref, image), syscall.EIO)
		f.wantGone(t, ref)
		if left := f.blobs(t); len(left) > 0 {
			t.Errorf("write %d failed, and left behind are %q", failing, left)
		}
	}
}
