package history

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/disktest"
)

func TestAFullDisk(t *testing.T) {
	disk := disktest.Small(t, "size=2m")
	d, err := open(filepath.Join(disk, "history"), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	d.now = folder(t, DefaultLimits).now
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
	again := recorder(d, &warnings)
	next := newRun("NEXT", "c", start)
	again.Observe(next)
	next.end(pinion.BuildDone)
	again.Close(t.Context())
	if _, err := d.Find(t.Context(), "NEXT"); err != nil {
		t.Error(err)
	}
}
