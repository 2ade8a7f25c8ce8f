package layout_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/disktest"
)

// TestFault65_LayoutOnAFullDisk: names and images can be removed, as often as the disk is filled.
func TestFault65_LayoutOnAFullDisk(t *testing.T) {
	dir := disktest.Small(t, "size=2m")
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
		disktest.Fill(t, dir+"/other")
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
	dir := disktest.Small(t, "size=256k")
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
