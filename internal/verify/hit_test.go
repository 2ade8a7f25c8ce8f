package verify_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/test/disktest"
)

func (w *world) hit(t *testing.T) (cache.Record, string, error) {
	t.Helper()
	rec, miss, err := verify.Hit(t.Context(), w.store, w.records, w.recipe)
	if !miss.IsHit() && (err != nil || rec.Key != "") {
		t.Errorf("a miss with record %+v and error %v", rec, err)
	}
	return rec, miss.Text, err
}

// wantMiss checks the reason of a miss, "" for a hit on the record.
func (w *world) wantMiss(t *testing.T, rec cache.Record, reason string) {
	t.Helper()
	got, miss, err := w.hit(t)
	if err != nil || (reason == "") != (miss == "") || !strings.Contains(miss, reason) {
		t.Errorf("miss %q, error %v; want %q", miss, err, reason)
	}
	if reason == "" && (got.Key != rec.Key || got.ImageID != rec.ImageID) {
		t.Errorf("the record is %+v, want %+v", got, rec)
	}
}

func TestHit(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, w *world, rec cache.Record)
		miss   string
	}{
		"as built": {func(*testing.T, *world, cache.Record) {}, ""},
		"no record": {func(_ *testing.T, w *world, rec cache.Record) {
			_ = w.dir.Forget(rec)
		}, "no image for this revision"},
		"a record of another commit": {func(t *testing.T, w *world, _ cache.Record) {
			w.recipe = w.recipe.At(revision(t, shaB))
		}, "no image for this revision"},
		"a record of another key": {func(_ *testing.T, w *world, _ cache.Record) {
			w.recipe = w.recipe.WithProvenance("min")
		}, "no image for this revision"},
		"a record of another store": {func(_ *testing.T, w *world, _ cache.Record) {
			w.store.Address = "unix:///other.sock"
		}, "no image for this revision"},
		"a garbled record": {garble, "unreadable record put aside: "},
		"image gone": {func(_ *testing.T, w *world, rec cache.Record) {
			delete(w.store.Images, rec.ImageID)
			delete(w.store.Tags, rec.Reference)
		}, "is no longer in the image store"},
		"another platform": {func(_ *testing.T, w *world, rec cache.Record) {
			img := w.store.Images[rec.ImageID]
			img.Platform = "linux/arm64"
			w.store.Put(img, rec.Reference)
		}, "is for linux/arm64, not linux/amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, kind := range kinds {
				w := newWorld(t, kind)
				rec := w.build(t)
				c.change(t, w, rec)
				w.wantMiss(t, rec, c.miss)
			}
		})
	}
}

// garble cuts every record off.
func garble(t *testing.T, w *world, _ cache.Record) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir.Path(), "records", "*", "*", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte(`{"schema":1,"key"`), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestHitWithoutACacheFolder(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	w.build(t)
	broken := func() (*cache.Dir, error) { return nil, errors.New("disk on fire") }
	p := verify.Begin(t.Context(), w.store, broken, w.recipe, true)
	_, miss, err := p.Hit(t.Context(), w.recipe)
	if err != nil || miss.Text != "the cache cannot be read: disk on fire" || !p.First() {
		t.Errorf("miss %q, error %v", miss, err)
	}
}

// TestFault44_AnotherRecordCannotBeRead: a record that does not concern the request prevents no
// hit, also in a folder without marks.
func TestFault44_AnotherRecordCannotBeRead(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	rec := w.build(t)
	files, err := filepath.Glob(filepath.Join(w.dir.Path(), "records", "*", "*", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("records %q, %v", files, err)
	}
	other := filepath.Join(filepath.Dir(files[0]), strings.Repeat("0", 64)+"-classic.json")
	if err := os.WriteFile(other, nil, 0); err != nil {
		t.Fatal(err)
	}
	disktest.Forbid(t, w.dir.Path())
	p := verify.Begin(t.Context(), w.store, w.records, w.recipe, true)
	if p.First() {
		t.Error("there seems to be no record")
	}
	got, miss, err := p.Hit(t.Context(), w.recipe)
	if err != nil || !miss.IsHit() || got.Key != rec.Key {
		t.Errorf("record %+v, miss %q, error %v", got, miss, err)
	}
	_, miss, err = p.Hit(t.Context(), w.recipe.At(revision(t, shaB)))
	if err != nil || !strings.HasPrefix(miss.Text, "the cache cannot be read") {
		t.Errorf("miss %q, error %v", miss, err)
	}
}

// TestFault34_EachLabelCounts: one that differs or is missing is a miss.
func TestFault34_EachLabelCounts(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	if n := len(w.recipe.Labels()); n != 4 {
		t.Fatalf("%d labels", n)
	}
	for label := range w.recipe.Labels() {
		for _, value := range []string{"other", ""} {
			w := newWorld(t, imagestore.KindClassic)
			rec := w.build(t)
			labels := w.store.Images[rec.ImageID].Labels
			if delete(labels, label); value != "" {
				labels[label] = value
			}
			w.wantMiss(t, rec, "has the label "+label+"=\""+value+"\"")
		}
	}
}

// TestFault34_AnotherImageHasTheName: it is never the hit, though all of its labels are right.
func TestFault34_AnotherImageHasTheName(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	rec := w.build(t)
	foreign := w.store.Images[rec.ImageID]
	foreign.ID = "sha256:foreign"
	w.store.Put(foreign, rec.Reference)
	got, miss, err := verify.Hit(t.Context(), w.store, w.records, w.recipe)
	if err != nil || !miss.IsHit() || got.ImageID != rec.ImageID ||
		w.store.References()[rec.Reference] != rec.ImageID {
		t.Errorf("the hit is %s, and the name names %s: %q, %v", got.ImageID,
			w.store.References()[rec.Reference], miss, err)
	}
	// Of the same commit in a mirror of the repository.
	mirrored := foreign
	mirrored.Labels = maps.Clone(foreign.Labels)
	mirrored.Labels[recipe.LabelRecipe] = "sha256:m"
	mirrored.Labels[recipe.LabelSource] = "https://m"
	w.store.Put(mirrored, rec.Reference)
	if got, miss, err := verify.Hit(t.Context(), w.store, w.records,
		w.recipe); err != nil || !miss.IsHit() || got.ImageID != rec.ImageID {
		t.Errorf("beside a mirror: %s, %q, %v", got.ImageID, miss, err)
	}
	w.store.Put(foreign, rec.Reference)
	delete(w.store.Images, rec.ImageID)
	w.wantMiss(t, rec, rec.Reference+" names an image that was not built here")
	w.store.Put(imagestore.Image{ID: rec.ImageID, Platform: "linux/amd64"}, "elsewhere:x")
	w.wantMiss(t, rec, rec.Reference+" names an image that was not built here")
}

func TestFault42_TheNameIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, rec cache.Record)
		miss   string
	}{
		"the image is there": {func(*world, cache.Record) {}, ""},
		"its labels differ": {func(w *world, rec cache.Record) {
			w.store.Images[rec.ImageID].Labels[recipe.LabelRevision] = shaB
		}, "no longer in the image store"},
		"the store refuses the name": {func(w *world, rec cache.Record) {
			w.store.Before = storetest.Refuse("tag", rec.Reference, errors.New("refused"))
		}, "no longer in the image store"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, imagestore.KindContainerd)
			rec := w.build(t)
			w.store.Tags = map[string]string{"mine:1": rec.ImageID}
			c.change(w, rec)
			w.wantMiss(t, rec, c.miss)
			if c.miss != "" {
				w.wantTags(t, "mine:1")
			} else if w.store.References()[rec.Reference] != rec.ImageID {
				t.Errorf("tags are %v", w.store.References())
			}
		})
	}
}

// TestFault64_UnreadableImageIsAMiss: a build makes the image again.
func TestFault64_UnreadableImageIsAMiss(t *testing.T) {
	for name, lost := range map[string]bool{"by name": false, "by ID": true} {
		w := newWorld(t, imagestore.KindClassic)
		rec := w.build(t)
		ref, words := rec.Reference, imagestore.ErrUnreadable.Error()
		if lost {
			delete(w.store.Tags, rec.Reference)
			ref, words = rec.ImageID, "no longer in the image store"
		}
		w.store.Before = storetest.Refuse("inspect", ref, imagestore.ErrUnreadable)
		_, miss, err := w.hit(t)
		if err != nil || !strings.Contains(miss, words) {
			t.Errorf("%s: miss %q, error %v", name, miss, err)
		}
		_, present, err := verify.Present(t.Context(), w.store, ref, rec.Platform)
		if err != nil || !strings.Contains(present.Text, imagestore.ErrUnreadable.Error()) {
			t.Errorf("%s: miss %q, error %v", name, present, err)
		}
	}
}

func TestHitOfAFailingStore(t *testing.T) {
	for name, lost := range map[string]bool{"by name": false, "by ID": true} {
		for _, early := range []bool{false, true} {
			w := newWorld(t, imagestore.KindClassic)
			rec := w.build(t)
			ref := rec.Reference
			if lost {
				delete(w.store.Tags, rec.Reference)
				ref = rec.ImageID
			}
			w.store.Before = storetest.Refuse("inspect", ref, imagestore.ErrUnavailable)
			p := verify.Begin(t.Context(), w.store, w.records, w.recipe, early)
			got, miss, err := p.Hit(t.Context(), w.recipe)
			if !errors.Is(err, imagestore.ErrStore) || !errors.Is(err, imagestore.ErrUnavailable) ||
				!miss.IsHit() || got.Key != "" {
				t.Errorf("%s, early %t: %+v, miss %q, error %v", name, early, got, miss, err)
			}
		}
	}
}

// TestEarlyInspection: it saves the request if the branch has not moved, and costs one otherwise.
func TestEarlyInspection(t *testing.T) {
	for name, c := range map[string]struct {
		early    bool
		commit   string
		requests int
	}{
		"used":     {true, shaB, 1},
		"not used": {true, shaA, 2},
		"none":     {false, shaB, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, imagestore.KindClassic)
			unknown := w.recipe
			w.build(t)
			time.Sleep(time.Second) // the fake clock's: the next record is newer
			w.recipe = w.recipe.At(revision(t, shaB))
			w.build(t)
			p := verify.Begin(t.Context(), w.store, w.records, unknown, c.early)
			rec, miss, err := p.Hit(t.Context(), w.recipe.At(revision(t, c.commit)))
			if !miss.IsHit() || err != nil || rec.Revision != c.commit {
				t.Errorf("%s: %+v, miss %q, error %v", name, rec, miss, err)
			}
			if synctest.Wait(); w.store.Inspected != c.requests {
				t.Errorf("%s: %d requests", name, w.store.Inspected)
			}
		})
	}
}

func TestEarlyInspectionEndsWithItsContext(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	w.build(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := verify.Begin(ctx, w.store, w.records, w.recipe, true)
	if _, _, err := p.Hit(t.Context(), w.recipe); !errors.Is(err, context.Canceled) ||
		!errors.Is(err, imagestore.ErrStore) {
		t.Errorf("error is %v", err)
	}
}

func TestHistory(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	p := verify.Begin(t.Context(), w.store, w.records, w.recipe, true)
	if !p.First() || p.Dialect() != (resolver.Dialect{}) {
		t.Errorf("without a record: first %t, dialect %v", p.First(), p.Dialect())
	}
	w.recipe = w.recipe.At(revision(t, strings.Repeat("c", 64)))
	w.build(t)
	p = verify.Begin(t.Context(), w.store, w.records, w.recipe.At(revision(t, shaA)), true)
	if p.First() || p.Dialect().Format != "sha256" {
		t.Errorf("with a record: first %t, dialect %v", p.First(), p.Dialect())
	}
}

func TestPresent(t *testing.T) {
	const ref = "registry.example/team/x:1"
	for name, c := range map[string]struct {
		platform string // of the image in the store, "" for none
		refused  error
		id, miss string
	}{
		"there": {"linux/arm64", nil, "sha256:x", ""},
		"another platform": {"linux/amd64", nil, "",
			"the one in the image store is for linux/amd64"},
		"missing":    {"", nil, "", "not in the image store"},
		"store gone": {"linux/arm64", imagestore.ErrUnavailable, "", ""},
	} {
		store := storetest.NewMemory(imagestore.KindClassic)
		if c.platform != "" {
			store.Put(imagestore.Image{ID: "sha256:x", Platform: c.platform}, ref)
		}
		store.Before = storetest.Refuse("inspect", ref, c.refused)
		id, miss, err := verify.Present(t.Context(), store, ref, "linux/arm64/v8")
		if id != c.id || miss.Text != c.miss || errors.Is(err, imagestore.ErrStore) !=
			(c.refused != nil) || !errors.Is(err, c.refused) {
			t.Errorf("%s: %q, miss %q, error %v", name, id, miss, err)
		}
	}
}
