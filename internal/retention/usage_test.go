package retention_test

import (
	"errors"
	"maps"
	"reflect"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
)

func TestList(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, rec cache.Record)
		want   int
	}{
		"all there":  {func(*world, cache.Record) {}, 2},
		"image gone": {func(w *world, rec cache.Record) { w.remove(rec) }, 1},
		"name gone": {func(w *world, rec cache.Record) {
			delete(w.store.Tags, rec.Reference)
		}, 1},
		"another store": {func(w *world, _ cache.Record) {
			w.store.Address = "unix:///other.sock"
		}, 0},
		"name moved": {func(w *world, rec cache.Record) {
			w.store.Put(imagestore.Image{ID: "sha256:foreign"}, rec.Reference)
		}, 1},
	} {
		w, recs := newCommits(t, 2)
		c.change(w, recs[0])
		list, err := retention.List(t.Context(), w.config())
		if err != nil || len(list) != c.want {
			t.Errorf("%s: %+v, %v", name, list, err)
			continue
		}
		newest := recs[1]
		want := retention.Image{Name: "claude-code", Reference: newest.Reference,
			ID: newest.ImageID, Revision: newest.Revision, Platform: "linux/amd64", Size: 42,
			BuiltAt: newest.BuiltAt}
		if len(list) > 0 && list[0] != want {
			t.Errorf("%s: %+v, want %+v", name, list[0], want)
		}
	}
}

func TestListOfAFailingStore(t *testing.T) {
	w, _ := newCommits(t, 1)
	w.store.Before = storetest.Refuse("", "", imagestore.ErrUnavailable)
	if _, err := retention.List(t.Context(), w.config()); !errors.Is(err, imagestore.ErrStore) {
		t.Errorf("error is %v", err)
	}
}

func TestUsage(t *testing.T) {
	w, recs := newCommits(t, 4)
	other := w.build(t, "hermes", w.recipe(t, "hermes", 1))
	w.store.Containers = []imagestore.Use{{Container: "web", Images: []string{recs[0].ImageID}}}
	// One beside its image's own name takes nothing, one alone all of its image.
	w.store.Tags[w.recipe(t, "claude-code", 2).Temporary(owner)] = recs[1].ImageID
	w.store.Put(left(), unverified)
	before := w.store.References()
	want := retention.Usage{
		Lines: []retention.LineUsage{
			{Name: "hermes", Repository: other.Repository, Platform: "linux/amd64", Images: 1,
				Size: 42},
			{Name: "claude-code", Repository: recs[0].Repository, Platform: "linux/amd64",
				Images: 4, InUse: 1, Size: 4 * 42, Reclaimable: 42},
		},
		Unverified: 2, Size: 5*42 + 7, Reclaimable: 42 + 7,
	}
	if got := w.look(t).Usage(2); !reflect.DeepEqual(got, want) ||
		!maps.Equal(before, w.store.References()) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
