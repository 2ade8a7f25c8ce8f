package layout_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// A full disk and a read-only one are errors in a situation of their own, and nothing is named.
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
	small := storetest.NewLayered(t, "small")
	f.receive(t, "molecule-local/x:1", small)

	big := storetest.NewLayered(t, "base", strings.Repeat("big", 1<<17))
	err := receiveInto(t.Context(), f.Layout, "molecule-local/x:2", big)
	wantLayoutError(t, err, syscall.ENOSPC)
	if s, path := errdef.SituationOf(err); s != errdef.DiskFull || path != dir {
		t.Errorf("%v is in the situation %q, %q", err, s, path)
	}
	f.wantGone(t, "molecule-local/x:2")
	f.want(t, "molecule-local/x:1", small)
	f.clean(t)
	f.receive(t, "molecule-local/x:3", storetest.NewLayered(t, "another small one"))

	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	err = receiveInto(t.Context(), f.Layout, "molecule-local/x:2", storetest.NewLayered(t, "two"))
	wantLayoutError(t, err, syscall.EROFS)
	if s, path := errdef.SituationOf(err); s != errdef.FolderReadOnly || path != dir {
		t.Errorf("%v is in the situation %q, %q", err, s, path)
	}
	if err := f.Untag(t.Context(), "molecule-local/x:1"); !errors.Is(err, syscall.EROFS) {
		t.Errorf("error is %v", err)
	}
	// Reading needs no lock, so a hit stays a hit.
	f.want(t, "molecule-local/x:1", small)
}
