package retention_test

import (
	"errors"
	"fmt"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
)

// TestLabelledImagesAreOneFamily: a label with the number of a CI run keeps no image.
func TestLabelledImagesAreOneFamily(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	plain := w.build(t, "claude-code", w.recipe(t, "claude-code", 9))
	verify.MarkBuilt(w.dir, plain, true)
	var runs []cache.Record
	for i := range 6 {
		rec := w.build(t, "claude-code", w.recipe(t, "claude-code", i+1).WithLabels(
			map[string]string{"ci.run": fmt.Sprint(i)}))
		verify.MarkBuilt(w.dir, rec, true)
		runs = append(runs, rec)
	}
	if u := w.look(t).Usage(2); len(u.Families) != 1 || u.Families[0].Images != 7 ||
		u.Reclaimable != 5*42 {
		t.Errorf("%+v", u)
	}
	report := w.prune(t, retention.Policy{})
	wantItem(t, report, plain.Reference, retention.Kept)
	wantItem(t, report, runs[5].Reference, retention.Kept)
	w.wantRecords(t, 2)
	w.prune(t, retention.Policy{MaxSize: 1})
	w.wantRecords(t, 1)
}

// TestMaxSizeTakesWhatCannotBeRequested: of a template that is no longer in the catalogue nothing
// must stay.
func TestMaxSizeTakesWhatCannotBeRequested(t *testing.T) {
	w, recs := newCommits(t, 2)
	gone := w.build(t, "hermes", w.recipe(t, "hermes", 1))
	c := w.config()
	c.Current = map[recipe.Source]bool{w.recipe(t, "claude-code", 1).Source(): true}
	for _, step := range []struct {
		max     int64
		removed cache.Record
	}{{2 * 42, recs[0]}, {42, gone}} {
		s, err := retention.Look(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		report, err := s.Prune(t.Context(), retention.Policy{Keep: 2, MaxSize: step.max})
		if err != nil {
			t.Fatal(err)
		}
		wantItem(t, report, step.removed.Reference, retention.Removed, "too much")
		wantItem(t, report, recs[1].Reference, retention.Kept)
		if report.Remaining != step.max {
			t.Errorf("%+v", report)
		}
	}
}

// TestFault53_TheImageInUseIsKept: what was requested last stays, whatever the clock says.
func TestFault53_TheImageInUseIsKept(t *testing.T) {
	w, recs := newCommits(t, 4)
	future := recs[1]
	future.BuiltAt = future.BuiltAt.AddDate(10, 0, 0)
	w.put(t, future)
	for _, rec := range recs {
		verify.MarkBuilt(w.dir, rec, true)
	}
	verify.MarkBuilt(w.dir, recs[0], true) // the branch was set back
	report := w.prune(t, retention.Policy{})
	wantItem(t, report, recs[0].Reference, retention.Kept)
	wantItem(t, report, recs[1].Reference, retention.Kept)
	w.wantRecords(t, 2)
	w.prune(t, retention.Policy{Keep: 1})
	if _, ok := w.store.Images[recs[0].ImageID]; !ok {
		t.Error("the image that was requested last is gone")
	}
	w.wantRecords(t, 1)
}

// TestHeadStaysBesideACommit: a commit that was requested by its hash is not the only one to stay.
func TestHeadStaysBesideACommit(t *testing.T) {
	w, recs := newCommits(t, 4)
	verify.MarkBuilt(w.dir, recs[1], true)
	verify.MarkBuilt(w.dir, recs[0], false)
	report := w.prune(t, retention.Policy{})
	for i, want := range []retention.Action{retention.Kept, retention.Kept, retention.Removed,
		retention.Removed} {
		wantItem(t, report, recs[i].Reference, want)
	}
}

// rebuild builds a commit again, which gives another image.
func (w *world) rebuild(t *testing.T, rec cache.Record) cache.Record {
	t.Helper()
	img := w.store.Images[rec.ImageID]
	img.ID = fmt.Sprintf("sha256:%064x", len(w.store.Images))
	w.store.Put(img, rec.Reference)
	w.store.Tags[latest] = img.ID
	rec.ImageID = img.ID
	w.put(t, rec)
	return rec
}

// TestPruneRemovesReplacedImages: builds of a commit that was built before leave its image without
// a name.
func TestPruneRemovesReplacedImages(t *testing.T) {
	for _, kind := range []imagestore.Kind{imagestore.KindClassic, imagestore.KindContainerd} {
		w := newWorld(t, kind)
		all := []cache.Record{w.commits(t, 1)[0]}
		for range 4 {
			all = append(all, w.rebuild(t, all[len(all)-1]))
		}
		w.store.Containers = []imagestore.Use{{Container: "web", Images: []string{all[1].ImageID}}}
		w.store.Tags["mine:1"] = all[2].ImageID
		if u := w.look(t).Usage(1); u.Size != 4*42 || u.Reclaimable != 2*42 {
			t.Errorf("%+v", u)
		}
		for _, dry := range []bool{true, false} {
			report := w.prune(t, retention.Policy{Keep: 1, DryRun: dry})
			wantItem(t, report, all[0].ImageID, retention.Removed, "replaced")
			wantItem(t, report, all[1].ImageID, retention.Kept, "the container web")
			wantItem(t, report, all[2].ImageID, retention.Kept, "has a name")
			wantItem(t, report, all[3].ImageID, retention.Removed, "replaced")
			wantItem(t, report, all[4].Reference, retention.Kept)
			if report.Reclaimed != 2*42 {
				t.Errorf("dry %t: %+v", dry, report)
			}
		}
		if len(w.store.Images) != 3 {
			t.Errorf("left are %v", w.store.Images)
		}
		w.wantRecords(t, 1)
	}
}

// TestReplacedImageIsBack: an image that has its name and its record again is none that was
// replaced.
func TestReplacedImageIsBack(t *testing.T) {
	w, recs := newCommits(t, 1)
	second := w.rebuild(t, recs[0])
	w.store.Put(w.store.Images[recs[0].ImageID], recs[0].Reference)
	w.store.Tags[latest] = recs[0].ImageID
	w.put(t, recs[0])
	report := w.prune(t, retention.Policy{})
	wantItem(t, report, second.ImageID, retention.Removed)
	if len(report.Items) != 2 || len(w.store.Images) != 1 {
		t.Errorf("%+v, left %v", report, w.store.Images)
	}
}

func TestReplacedImageThatCannotBeRemoved(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want retention.Action
	}{
		"refused":    {errors.New("conflict"), retention.Kept},
		"unreadable": {imagestore.ErrUnreadable, retention.Kept},
	} {
		w, recs := newCommits(t, 1)
		w.rebuild(t, recs[0])
		s := w.look(t)
		op := map[string]string{"refused": "remove", "unreadable": "inspect"}[name]
		w.store.Before = storetest.Refuse(op, recs[0].ImageID, c.err)
		report, err := s.Prune(t.Context(), retention.Policy{Keep: 2})
		if err != nil {
			t.Fatal(err)
		}
		wantItem(t, report, recs[0].ImageID, c.want, c.err.Error())
		w.store.Before = nil
		wantItem(t, w.prune(t, retention.Policy{}), recs[0].ImageID, retention.Removed)
	}
}

// TestFault67_TheStoreIsAway: records are kept while another store answers at the address, and the
// images are found when their own is back.
func TestFault67_TheStoreIsAway(t *testing.T) {
	for name, c := range map[string]struct {
		recorded string // the ID of the store in the records
		images   int    // in the store that answers
		kept     bool
	}{
		"another store":                  {"fake", 1, true},
		"an earlier version's records":   {"", 0, true},
		"an earlier version, this store": {"", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, imagestore.KindClassic)
			for i := range 3 {
				rec := w.build(t, "claude-code", w.recipe(t, "claude-code", i+1))
				rec.StoreID = c.recorded
				w.put(t, rec)
			}
			images, tags := w.store.Images, w.store.Tags
			w.store.ID = "other"
			w.store.Images, w.store.Tags = map[string]imagestore.Image{}, map[string]string{}
			want := 3
			for i := range c.images {
				rec := w.build(t, "hermes", w.recipe(t, "hermes", i+1))
				rec.StoreID = "other"
				w.put(t, rec)
				want++
			}
			if !c.kept {
				want = c.images
			}
			w.prune(t, retention.Policy{})
			w.wantRecords(t, want)
			if !c.kept {
				return
			}
			w.store.ID, w.store.Images, w.store.Tags = "fake", images, tags
			list, _, err := retention.List(t.Context(), w.config())
			if err != nil || len(list) != 3 {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
}
