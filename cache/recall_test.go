package cache_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cache"
)

// A file is read again only if it was replaced, and each replacement shows.
func TestARecordThatIsRemembered(t *testing.T) {
	dir := t.TempDir() + "/cache"
	d, err := cache.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	rec := cache.Record{Key: "sha256:aa", Line: "bb", Store: "s", StoreKind: "classic",
		ImageID: "sha256:1", Args: map[string]string{"A": "1"}}
	find := func() cache.Record {
		t.Helper()
		recs, _, err := d.Find(rec.Line, rec.Store, rec.Key)
		if err != nil || len(recs) != 1 {
			t.Fatalf("%d records, %v", len(recs), err)
		}
		return recs[0]
	}
	for range 3 {
		for _, id := range []string{"sha256:1", "sha256:2"} { // of one length
			rec.ImageID = id
			if err := d.Put(rec); err != nil {
				t.Fatal(err)
			}
			if got := find(); got.ImageID != id {
				t.Fatalf("%s, not %s", got.ImageID, id)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "records", "*", "*", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(files[0], old, old); err != nil {
		t.Fatal(err)
	}
	find().Args["A"] = "changed by a caller"
	again := find()
	if again.Args["A"] != "1" {
		t.Errorf("callers share %v", again.Args)
	}
	if n := allocations(t, d, rec); n > 40 {
		t.Errorf("%v allocations: the file is read each time", n)
	}
	rec.ImageID = "sha256:3"
	if err := d.Put(rec); err != nil {
		t.Fatal(err)
	}
	if got := find(); got.ImageID != "sha256:3" {
		t.Errorf("%s after it was replaced", got.ImageID)
	}
	if err := d.Forget(rec); err != nil {
		t.Fatal(err)
	}
	if recs, _, err := d.Find(rec.Line, rec.Store, rec.Key); err != nil || len(recs) != 0 {
		t.Errorf("%d records of one that was removed, %v", len(recs), err)
	}
}

func allocations(t *testing.T, d *cache.Dir, rec cache.Record) float64 {
	t.Helper()
	return testing.AllocsPerRun(100, func() { _, _, _ = d.Find(rec.Line, rec.Store, rec.Key) })
}
