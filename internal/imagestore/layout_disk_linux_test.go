package imagestore_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk that is full, or takes nothing: an error that says what to do, and nothing is named.
func TestFault44_LayoutOnBadDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("this root may not mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f := openLayout(t, dir)
	small := newLayered(t, "small")
	f.receive(t, "molecule-local/x:1", small)

	big := newLayered(t, "base", strings.Repeat("big", 1<<17))
	err := receiveInto(t.Context(), f.Layout, "molecule-local/x:2", big.Source)
	wantLayoutError(t, err, syscall.ENOSPC)
	if err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("error is %v", err)
	}
	f.wantGone(t, "molecule-local/x:2")
	f.want(t, "molecule-local/x:1", small)
	f.clean(t)
	f.receive(t, "molecule-local/x:3", newLayered(t, "another small one"))

	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	err = receiveInto(t.Context(), f.Layout, "molecule-local/x:2", newLayered(t, "two").Source)
	wantLayoutError(t, err, syscall.EROFS)
	if err == nil || !strings.Contains(err.Error(), "--store") {
		t.Errorf("error is %v", err)
	}
	if err := f.Untag(t.Context(), "molecule-local/x:1"); !errors.Is(err, syscall.EROFS) {
		t.Errorf("error is %v", err)
	}
	// Reading needs no lock, so a hit stays a hit.
	f.want(t, "molecule-local/x:1", small)
}
