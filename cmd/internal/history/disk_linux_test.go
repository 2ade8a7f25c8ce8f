package history

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/disktest"
)

// onSmallDisk returns a history on a disk of 2 MB, and the disk's folder.
func onSmallDisk(t *testing.T) (d *Dir, disk string) {
	t.Helper()
	disk = disktest.Small(t, "size=2m")
	d, err := open(filepath.Join(disk, "history"), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	d.now = func() time.Time { return start.Add(time.Hour) }
	return d, disk
}

func TestAFullDisk(t *testing.T) {
	d, disk := onSmallDisk(t)
	fill(t, d, "a", "b")
	filler := filepath.Join(disk, "filler")
	disktest.Fill(t, filler)
	var warnings bytes.Buffer
	r, b := recorder(d, &warnings), newRun("FULL", "c", start)
	r.Observe(b)
	r.Observe(hitRun("HIT", "c", start))
	b.print("lost")
	b.end(pinion.BuildDone)
	r.Close(t.Context())
	if warnings.Len() == 0 {
		t.Error("no warning")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if got := list(t, d, Filter{Names: []string{"a", "b"}}); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	for _, b := range list(t, d, Filter{Names: []string{"c"}}) {
		t.Errorf("it was not written, and is there: %+v", b)
	}
	again := recorder(d, &warnings)
	next := newRun("NEXT", "c", start)
	again.Observe(next)
	next.end(pinion.BuildDone)
	again.Close(t.Context())
	if _, err := d.Find(t.Context(), "NEXT"); err != nil {
		t.Error(err)
	}
}

// TestADiskThatIsFullForAMoment: how the build ended is known.
func TestADiskThatIsFullForAMoment(t *testing.T) {
	d, disk := onSmallDisk(t)
	var warnings bytes.Buffer
	r, b := recorder(d, &warnings), newRun("ONE", "c", start)
	r.Observe(b)
	b.print("first")
	for range until(t, d, "ONE") {
		break
	}
	filler := filepath.Join(disk, "filler")
	disktest.Fill(t, filler)
	for range 100 {
		b.print(strings.Repeat("lost ", 100))
	}
	journal := filepath.Join(disk, "history", journalFile("ONE"))
	for size := int64(1); size%4096 != 0; { // the last page that the disk has is full
		info, err := os.Stat(journal)
		if err != nil {
			t.Fatal(err)
		}
		size = info.Size()
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if got := ids(list(t, d, Filter{})); got != "ONE:queued" {
		t.Errorf("while it runs: %s", got)
	}
	b.end(pinion.BuildDone)
	r.Close(t.Context())
	if got := ids(list(t, d, Filter{})); got != "ONE:done" || warnings.Len() == 0 {
		t.Errorf("%s, warnings %s", got, &warnings)
	}
}
