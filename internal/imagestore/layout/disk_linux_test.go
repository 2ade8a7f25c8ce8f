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

// smallDisk returns the folder of a file system of its own.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("this root may not mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the space that a disk has left.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 12, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// TestFault65_LayoutOnAFullDisk: names and images can be removed, as often as the disk is filled.
func TestFault65_LayoutOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, "size=2m")
	f := openLayout(t, dir)
	old := storetest.NewLayered(t, strings.Repeat("old", 1<<15))
	f.receive(t, "molecule-local/x:old", old)
	if err := f.Tag(t.Context(), old.Descriptor.Digest.String(), "molecule-local/x:2"); err != nil {
		t.Fatal(err)
	}
	f.receive(t, "molecule-local/x:new", storetest.NewLayered(t, strings.Repeat("new", 1<<15)))
	last := storetest.NewLayered(t, "last")
	f.receive(t, "molecule-local/x:last", last)
	for _, ref := range []string{"molecule-local/x:2", "molecule-local/x:old",
		"molecule-local/x:new"} {
		fill(t, dir+"/other")
		wantLayoutError(t, f.Tag(t.Context(), last.Descriptor.Digest.String(),
			"molecule-local/x:more"), syscall.ENOSPC)
		if err := f.Untag(t.Context(), ref); err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		f.wantGone(t, ref)
	}
	if n := len(f.blobs(t)); n != 3 {
		t.Errorf("%d blobs are left, not those of the last image", n)
	}
	f.clean(t)
}

// A full disk and a read-only one are errors in a situation of their own, and nothing is named.
func TestFault44_LayoutOnBadDisk(t *testing.T) {
	dir := smallDisk(t, "size=256k")
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
