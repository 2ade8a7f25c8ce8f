package retention_test

import (
	"fmt"
	"maps"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
)

func (w *world) reset(t *testing.T, p retention.Policy) retention.Report {
	t.Helper()
	report, err := w.look(t).Prune(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestResetRemovesAllOfATemplate(t *testing.T) {
	for _, scope := range []retention.Scope{{Names: []string{"claude-code"}},
		{Names: []string{"renamed"}, Images: []string{"workspace-template-claude-code"}}} {
		w, recs := newCommits(t, 3)
		other := w.build(t, "hermes", w.recipe(t, "hermes", 1))
		w.store.Put(left(), unverified)
		w.store.Containers = []imagestore.Use{{Container: "web",
			Images: []string{recs[0].ImageID}}}
		before := w.store.References()
		dry := w.reset(t, retention.Policy{Scope: scope, DryRun: true})
		if !maps.Equal(before, w.store.References()) {
			t.Errorf("a dry run left %v of %v", w.store.References(), before)
		}
		w.wantRecords(t, 4)
		report := w.reset(t, retention.Policy{Scope: scope})
		wantItem(t, report, recs[0].Reference, retention.Kept, "container web")
		for _, rec := range recs[1:] {
			wantItem(t, report, rec.Reference, retention.Removed, "all images of its template")
		}
		byName := len(scope.Images) == 0 // which a temporary name does not show
		if !byName {
			wantItem(t, report, unverified, retention.Removed, "left over")
		}
		want := map[string]string{recs[0].Reference: recs[0].ImageID,
			other.Reference: other.ImageID, w.recipe(t, "hermes", 1).Latest(): other.ImageID}
		if byName {
			want[unverified] = left().ID
		}
		if got := w.store.References(); !maps.Equal(got, want) {
			t.Errorf("left are %v, not %v", got, want)
		}
		if fmt.Sprint(dry) != fmt.Sprint(report) {
			t.Errorf("the dry run said %+v, it was %+v", dry, report)
		}
		w.wantRecords(t, 2)
	}
}

// TestResetRemovesImagesThatLostTheirName: the record has the ID, and the labels agree.
func TestResetRemovesImagesThatLostTheirName(t *testing.T) {
	const mine = "somebody/else:1"
	unname := func(w *world, rec cache.Record) {
		delete(w.store.Tags, rec.Reference)
		delete(w.store.Tags, latest)
	}
	for name, c := range map[string]struct {
		do      func(w *world, rec cache.Record)
		action  retention.Action
		stays   bool // the image
		records int
	}{
		"no name": {unname, retention.Removed, false, 0},
		"latest alone": {func(w *world, rec cache.Record) {
			delete(w.store.Tags, rec.Reference)
		}, retention.Removed, false, 0},
		"the name is another image's": {func(w *world, rec cache.Record) {
			unname(w, rec)
			w.store.Put(imagestore.Image{ID: "sha256:foreign"}, rec.Reference)
		}, retention.Removed, false, 0},
		"somebody's name": {func(w *world, rec cache.Record) {
			unname(w, rec)
			w.store.Tags[mine] = rec.ImageID
		}, retention.Removed, true, 0},
		"other labels": {func(w *world, rec cache.Record) {
			unname(w, rec)
			w.store.Images[rec.ImageID].Labels[recipe.LabelRecipe] = "sha256:other"
		}, retention.Kept, true, 1},
		"a container's": {func(w *world, rec cache.Record) {
			unname(w, rec)
			w.store.Containers = []imagestore.Use{{Container: "web",
				Images: []string{rec.ImageID}}}
		}, retention.Kept, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w, recs := newCommits(t, 1)
			rec := recs[0]
			c.do(w, rec)
			if c.action == retention.Removed {
				wantItem(t, w.prune(t, retention.Policy{}), rec.Reference, retention.Kept)
			}
			foreign := w.store.References()[rec.Reference]
			dry := w.reset(t, retention.Policy{DryRun: true})
			report := w.reset(t, retention.Policy{})
			wantItem(t, dry, rec.Reference, c.action)
			wantItem(t, report, rec.Reference, c.action)
			if dry.Reclaimed != report.Reclaimed || (report.Reclaimed == 0) != c.stays {
				t.Errorf("reclaimed %d, the dry run said %d", report.Reclaimed, dry.Reclaimed)
			}
			if _, stays := w.store.Images[rec.ImageID]; stays != c.stays {
				t.Errorf("the image stays: %v", stays)
			}
			left := w.store.References()
			if left[rec.Reference] != foreign || c.stays && c.records == 0 &&
				left[mine] != rec.ImageID {
				t.Errorf("left are %v", left)
			}
			w.wantRecords(t, c.records)
		})
	}
}

func TestResetLeavesOtherTokensAlone(t *testing.T) {
	w, recs := newCommits(t, 1)
	other := w.build(t, "claude-code", w.recipe(t, "claude-code", 1).WithIsolation("job-7"))
	s := w.look(t)
	owns := s.Lines(retention.Scope{})
	for _, c := range []struct {
		line string
		want bool
	}{{recs[0].Line, true}, {other.Line, false}, {"without-a-record", true}} {
		if got := owns(c.line, "claude-code"); got != c.want {
			t.Errorf("%s: %v", c.line, got)
		}
	}
	of := s.Lines(retention.Scope{Names: []string{"hermes"}})
	if of(recs[0].Line, "hermes") || of("orphan", "claude-code") || !of("orphan", "hermes") {
		t.Error("another template's caches are taken")
	}
	w.reset(t, retention.Policy{})
	if got := w.store.References(); len(got) != 2 || got[other.Reference] != other.ImageID {
		t.Errorf("left are %v", got)
	}
	w.wantRecords(t, 1)
}
