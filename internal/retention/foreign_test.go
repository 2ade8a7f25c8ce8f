package retention_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
)

// change is what another program does to the oldest image.
type change struct {
	do     func(t *testing.T, w *world, rec cache.Record)
	action retention.Action
	words  string
}

// wantRecords checks that a forgotten image has lost its record and a kept one has not.
func (c change) wantRecords(t *testing.T, w *world) {
	t.Helper()
	w.wantRecords(t, map[retention.Action]int{retention.Kept: 3, retention.Forgotten: 2}[c.action])
}

func TestPruneTouchesOnlyWhatIsOurs(t *testing.T) {
	for name, c := range map[string]change{
		"the tag moved": {func(_ *testing.T, w *world, rec cache.Record) {
			w.store.Put(imagestore.Image{ID: "sha256:foreign"}, rec.Reference)
		}, retention.Kept, "names another image now"},
		"the tag moved and the image is gone": {func(_ *testing.T, w *world, rec cache.Record) {
			w.store.Put(imagestore.Image{ID: "sha256:foreign"}, rec.Reference)
			delete(w.store.Images, rec.ImageID)
		}, retention.Forgotten, "no longer"},
		"the tag is gone": {func(_ *testing.T, w *world, rec cache.Record) {
			delete(w.store.Tags, rec.Reference)
		}, retention.Kept, "lost its name"},
		"other labels": {func(_ *testing.T, w *world, rec cache.Record) {
			w.store.Images[rec.ImageID].Labels[recipe.LabelRecipe] = "sha256:other"
		}, retention.Kept, recipe.LabelRecipe},
		"the image is gone": {func(_ *testing.T, w *world, rec cache.Record) {
			w.remove(rec)
		}, retention.Forgotten, "no longer"},
	} {
		t.Run(name, func(t *testing.T) {
			w, recs := newCommits(t, 3)
			c.do(t, w, recs[0])
			w.store.Put(imagestore.Image{ID: "sha256:mine",
				Labels: w.store.Images[recs[1].ImageID].Labels}, repository+":mine")
			tags := w.store.References()
			report := w.prune(t, retention.Policy{})
			wantItem(t, report, recs[0].Reference, c.action, c.words)
			if got := w.store.References(); !maps.Equal(got, tags) {
				t.Errorf("tags were %v, are %v", tags, got)
			}
			c.wantRecords(t, w)
		})
	}
}

func TestPruneLooksAgainUnderTheLock(t *testing.T) {
	for name, c := range map[string]change{
		"the tag moves": {func(_ *testing.T, w *world, rec cache.Record) {
			w.store.Put(imagestore.Image{ID: "sha256:foreign"}, rec.Reference)
		}, retention.Kept, "another image"},
		"the image goes": {func(_ *testing.T, w *world, rec cache.Record) {
			w.remove(rec)
		}, retention.Forgotten, "no longer"},
		"it is built again": {func(t *testing.T, w *world, rec cache.Record) {
			rec.ImageID = "sha256:again"
			w.put(t, rec)
			w.store.Put(imagestore.Image{ID: rec.ImageID}, rec.Reference)
		}, retention.Kept, "built again"},
	} {
		t.Run(name, func(t *testing.T) {
			w, recs := newCommits(t, 3)
			s := w.look(t)
			c.do(t, w, recs[0])
			tags := w.store.References()
			report, err := s.Prune(t.Context(), retention.Policy{Keep: 2})
			if err != nil {
				t.Fatal(err)
			}
			wantItem(t, report, recs[0].Reference, c.action, c.words)
			if got := w.store.References(); !maps.Equal(got, tags) {
				t.Errorf("tags were %v, are %v", tags, got)
			}
			c.wantRecords(t, w)
		})
	}
}

// TestPruneBelievesNoRecordsNames: a record is a file, and a file may say anything.
func TestPruneBelievesNoRecordsNames(t *testing.T) {
	w, recs := newCommits(t, 1)
	victims := []string{"postgres:16", repository + ":other", "postgres@" + recs[0].ImageID,
		recs[0].ImageID, "molecule-local/"}
	for i, ref := range victims {
		rec := recs[0]
		rec.Reference, rec.Key = ref, strings.Repeat(fmt.Sprint(i), 64)
		rec.BuiltAt = rec.BuiltAt.AddDate(-1, 0, 0)
		w.store.Put(w.store.Images[rec.ImageID], ref)
		w.put(t, rec)
	}
	tags := w.store.References()
	report := w.prune(t, retention.Policy{Keep: 1, MaxSize: 1})
	for _, ref := range victims {
		wantItem(t, report, ref, retention.Kept)
	}
	if !maps.Equal(tags, w.store.References()) {
		t.Errorf("left are %v", w.store.References())
	}
}

func TestPruneLeavesOtherStoresRecords(t *testing.T) {
	w, _ := newCommits(t, 3)
	w.store.Images, w.store.Tags = map[string]imagestore.Image{}, map[string]string{}
	for _, c := range []struct {
		kind    imagestore.Kind
		address string
	}{{imagestore.KindContainerd, w.store.Address}, {imagestore.KindClassic,
		"unix:///other.sock"}} {
		w.store.Kind, w.store.Address = c.kind, c.address
		if report := w.prune(t, retention.Policy{}); len(report.Items) != 0 {
			t.Errorf("%+v", report)
		}
		w.wantRecords(t, 3)
	}
}

// TestPruneLeavesOtherTokens: images of another isolation are none of this user's.
func TestPruneLeavesOtherTokens(t *testing.T) {
	w, _ := newCommits(t, 1)
	for i := range 3 {
		w.build(t, "claude-code", w.recipe(t, "claude-code", i+1).WithIsolation("job-7"))
	}
	if report := w.prune(t, retention.Policy{Keep: 1}); len(report.Items) != 1 {
		t.Errorf("%+v", report)
	}
	w.wantRecords(t, 4)
}

// left is an image without a record.
func left() imagestore.Image {
	return imagestore.Image{ID: "sha256:left", Size: 7,
		Labels: map[string]string{recipe.LabelRecipe: "sha256:" + strings.Repeat("ab", 32)}}
}

const unverified = repository + ":unverified-abababababab-" + owner

func TestPruneRemovesLeftoverTemporaryNames(t *testing.T) {
	w, _ := newCommits(t, 1)
	w.store.Put(left(), unverified)
	for i, ref := range []string{
		repository + ":unverified-abababababab-0badcafe", // another owner's
		repository + ":unverified-cdcdcdcdcdcd-" + owner, // another key's
		"other/" + unverified,
		"127.0.0.1:40000/other/" + unverified,
		"registry.example:40000/" + unverified,
	} {
		other := left()
		other.ID = fmt.Sprint("sha256:foreign", i)
		w.store.Put(other, ref)
	}
	w.store.Put(imagestore.Image{ID: "sha256:unlabelled"},
		w.recipe(t, "claude-code", 1).Temporary(owner))
	unlock, err := w.dir.Lock(t.Context(), strings.Repeat("ab", 32), 0)
	if err != nil {
		t.Fatal(err)
	}
	wantItem(t, w.prune(t, retention.Policy{}), unverified, retention.Kept, "a build")
	unlock()
	pulled := "127.0.0.1:40000/" + unverified // the engine's name for it while it pulls
	w.store.Put(left(), pulled)
	before := len(w.store.References()) - 1
	report := w.prune(t, retention.Policy{})
	wantItem(t, report, unverified, retention.Removed, "left over")
	wantItem(t, report, pulled, retention.Removed, "left over")
	if report.Reclaimed != 7 || len(w.store.References()) != before-1 ||
		w.store.Images["sha256:left"].ID != "" {
		t.Errorf("%+v, left %v", report, w.store.References())
	}
}
