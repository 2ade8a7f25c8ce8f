package retention_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
		list, _, err := retention.List(t.Context(), w.config())
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
	if _, _, err := retention.List(t.Context(), w.config()); !errors.Is(err, imagestore.ErrStore) {
		t.Errorf("error is %v", err)
	}
}

// TestFault64_OneUnreadableImage: it is reported, and does not stop what concerns the others.
func TestFault64_OneUnreadableImage(t *testing.T) {
	for name, ref := range map[string]func(*world, cache.Record) string{
		"by its name": func(_ *world, rec cache.Record) string { return rec.Reference },
		"by its ID": func(w *world, rec cache.Record) string {
			delete(w.store.Tags, rec.Reference)
			return rec.ImageID
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, recs := newCommits(t, 4)
			w.store.Before = storetest.Refuse("inspect", ref(w, recs[3]), imagestore.ErrUnreadable)
			list, unreadable, err := retention.List(t.Context(), w.config())
			if err != nil || len(list) != 3 || (name == "by its name") != (len(unreadable) == 1) {
				t.Errorf("list %+v, unreadable %v, error %v", list, unreadable, err)
			}
			if u := w.look(t).Usage(2); u.Size != 3*42 {
				t.Errorf("%+v", u)
			}
			report := w.prune(t, retention.Policy{})
			wantItem(t, report, recs[3].Reference, retention.Kept, imagestore.ErrUnreadable.Error())
			wantItem(t, report, recs[0].Reference, retention.Removed)
			w.wantRecords(t, 3)
		})
	}
}

// TestFault64_UnreadableUnderTheLock: an image that the store could describe before.
func TestFault64_UnreadableUnderTheLock(t *testing.T) {
	w, recs := newCommits(t, 4)
	w.store.Put(left(), unverified)
	s := w.look(t)
	w.store.Before = func(op, ref string) error {
		if op == "inspect" && (ref == recs[0].Reference || ref == unverified) {
			return imagestore.ErrUnreadable
		}
		return nil
	}
	report, err := s.Prune(t.Context(), retention.Policy{Keep: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{recs[0].Reference, unverified} {
		wantItem(t, report, ref, retention.Kept, imagestore.ErrUnreadable.Error())
	}
	wantItem(t, report, recs[1].Reference, retention.Removed)
}

// TestInspectionsAtOnce: a store that takes its time is asked for several images at once, and for
// no more than a few.
func TestInspectionsAtOnce(t *testing.T) {
	for name, do := range map[string]func(context.Context, retention.Config) error{
		"list": func(ctx context.Context, c retention.Config) error {
			_, _, err := retention.List(ctx, c)
			return err
		},
		"look": func(ctx context.Context, c retention.Config) error {
			_, err := retention.Look(ctx, c)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, imagestore.KindClassic)
				for i := range 80 {
					rec := w.build(t, "hermes", w.recipe(t, "hermes", 1))
					rec.Key, rec.Revision = fmt.Sprintf("%064x", i), fmt.Sprintf("%040x", i+1)
					w.put(t, rec)
				}
				var now, most atomic.Int32
				w.store.Before = func(op, _ string) error {
					if op == "inspect" {
						most.Store(max(most.Load(), now.Add(1)))
						time.Sleep(time.Second)
						now.Add(-1)
					}
					return nil
				}
				begun := time.Now()
				if err := do(t.Context(), w.config()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took > 20*time.Second || most.Load() > 8 {
					t.Errorf("it took %s, with %d inspections at once", took, most.Load())
				}
			})
		})
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
		Families: []retention.FamilyUsage{
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

// share gives all images of 42 bytes a layer of 40 that they share.
func (w *world) share() {
	for id, img := range w.store.Images {
		img.Parts = map[string]int64{"layer": 40, "config of " + id: 2}
		w.store.Images[id] = img
	}
}

// TestSharedParts: what several images have takes room once, and is free with the last of them.
func TestSharedParts(t *testing.T) {
	w, recs := newCommits(t, 4)
	w.build(t, "hermes", w.recipe(t, "hermes", 1))
	w.share()
	u := w.look(t).Usage(2)
	if u.Size != 40+5*2 || u.Reclaimable != 2*2 || u.Families[1].Size != 40+4*2 ||
		u.Families[1].Reclaimable != 2*2 {
		t.Errorf("%+v", u)
	}
	for _, dry := range []bool{true, false} {
		report := w.prune(t, retention.Policy{DryRun: dry})
		wantItem(t, report, recs[0].Reference, retention.Removed)
		if report.Reclaimed != 2*2 || report.Remaining != 40+3*2 {
			t.Errorf("dry %t: %+v", dry, report)
		}
	}
	// The bound is for what they take together.
	if w.prune(t, retention.Policy{MaxSize: 46}); len(w.store.Images) != 3 {
		t.Errorf("%d images left", len(w.store.Images))
	}
	if w.prune(t, retention.Policy{MaxSize: 45}); len(w.store.Images) != 2 {
		t.Errorf("%d images left", len(w.store.Images))
	}
	s := w.look(t)
	report, err := s.Prune(t.Context(), retention.Policy{}) // all
	if err != nil || report.Reclaimed != 40+2*2 {
		t.Errorf("%+v, %v", report, err)
	}
}
