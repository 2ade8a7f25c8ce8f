package verify_test

import (
	"errors"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
)

// oldNames gives the image the names of an earlier version, which had no part for the form.
func (w *world) oldNames(t *testing.T) (rec cache.Record, latest string) {
	t.Helper()
	rec = w.build(t)
	usual := w.recipe.InUsualForm()
	rec.Reference, rec.Form = usual.Reference(), ""
	w.put(t, rec)
	w.store.Tags = map[string]string{rec.Reference: rec.ImageID, usual.Latest(): rec.ImageID}
	return rec, usual.Latest()
}

func TestHitUnderTheNameOfAnEarlierVersion(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	w.oldNames(t)
	for range 2 {
		rec, miss, err := w.hit(t)
		if err != nil || miss != "" || rec.Reference != w.recipe.Reference() ||
			rec.Form != w.recipe.Form() {
			t.Fatalf("%+v, miss %q, error %v", rec, miss, err)
		}
		w.wantTags(t, w.recipe.Reference(), w.recipe.Latest())
		if rec := w.onlyRecord(t); rec.Reference != w.recipe.Reference() ||
			rec.Form != w.recipe.Form() {
			t.Errorf("the record is %+v", rec)
		}
	}
}

// TestRenameLeavesForeignNames: only names of this image are removed.
func TestRenameLeavesForeignNames(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	old, latest := w.oldNames(t)
	w.store.Tags = map[string]string{"mine:1": old.ImageID}
	w.store.Put(imagestore.Image{ID: "sha256:foreign"}, old.Reference)
	w.store.Put(imagestore.Image{ID: "sha256:foreign"}, latest)
	w.wantMiss(t, old, "")
	w.wantTags(t, "mine:1", old.Reference, latest, w.recipe.Reference())
	if got := w.store.References(); got[old.Reference] != "sha256:foreign" ||
		got[latest] != "sha256:foreign" {
		t.Errorf("tags are %v", got)
	}
}

// TestRenameUnderTheLock: while a build holds the key's lock, the image is a hit with the new name
// beside the old ones, and the record stays.
func TestRenameUnderTheLock(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	old, latest := w.oldNames(t)
	unlock, err := w.dir.Lock(t.Context(), old.Key, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	w.wantMiss(t, old, "")
	w.wantTags(t, old.Reference, latest, w.recipe.Reference())
	if rec := w.onlyRecord(t); rec.Reference != old.Reference || rec.Form != "" {
		t.Errorf("the record is %+v", rec)
	}
}

func TestRestoreLatest(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		latest   string // the ID of the image that has the name, "" for none
		refuse   string
		want     string
		warnings int
		requests int
	}{
		"has it":      {"own", "", "own", 0, 1},
		"missing":     {"", "", "own", 0, 2},
		"another has": {"sha256:other", "", "sha256:other", 0, 2},
		"refused":     {"", "tag", "", 1, 2},
	} {
		w := newWorld(t, imagestore.KindClassic)
		rec, latest := w.build(t), w.recipe.Latest()
		id := func(name string) string {
			if name == "own" {
				return rec.ImageID
			}
			return name
		}
		if c.latest != "" {
			w.store.Tags[latest] = id(c.latest)
			w.store.Images["sha256:other"] = imagestore.Image{ID: "sha256:other"}
		}
		if c.refuse != "" {
			w.store.Before = storetest.Refuse(c.refuse, latest, refused)
		}
		p := verify.Begin(t.Context(), w.store, w.records, w.recipe, false)
		if _, miss, err := p.Hit(t.Context(), w.recipe); !miss.IsHit() || err != nil {
			t.Fatalf("miss %q, error %v", miss, err)
		}
		warnings := p.RestoreLatest(t.Context(), w.recipe)
		if len(warnings) != c.warnings || w.store.References()[latest] != id(c.want) ||
			w.store.Inspected != c.requests {
			t.Errorf("%s: warnings %q, tags %v, %d requests", name, warnings, w.store.References(),
				w.store.Inspected)
		}
	}
}
