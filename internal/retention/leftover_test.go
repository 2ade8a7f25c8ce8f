package retention_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
)

func (w *world) leftovers(t *testing.T, scope retention.Scope) *retention.Leftovers {
	t.Helper()
	found, err := w.look(t).FindLeftovers(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// removeLeftovers removes all of them, after a dry run that must agree.
func (w *world) removeLeftovers(t *testing.T) retention.Report {
	t.Helper()
	before := w.store.References()
	dry, _, err := w.leftovers(t, retention.Scope{}).Remove(t.Context(), true)
	if err != nil || !maps.Equal(before, w.store.References()) {
		t.Errorf("a dry run left %v, %v", w.store.References(), err)
	}
	done, _, err := w.leftovers(t, retention.Scope{}).Remove(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	byName := func(a, b retention.Item) int { return len(a.Reference) - len(b.Reference) }
	slices.SortFunc(dry.Items, byName)
	slices.SortFunc(done.Items, byName)
	if len(dry.Items) != len(done.Items) || dry.Reclaimed != done.Reclaimed {
		t.Errorf("the dry run said %+v, it was %+v", dry, done)
	}
	return done
}

// TestLeftoversByName: only names that the earlier build gave, on images without Pinion's label.
func TestLeftoversByName(t *testing.T) {
	w, recs := newCommits(t, 1)
	hermes := "molecule-local/workspace-template-hermes"
	earlier := imagestore.Image{ID: "sha256:earlier", Size: 5}
	names := []string{hermes + ":0123456789ab", hermes + ":latest",
		hermes + ":0123456789ab-arm64"}
	for _, name := range names {
		w.store.Put(earlier, name)
	}
	for i, name := range []string{
		hermes + ":0123456789ab--job-7", hermes + ":mine", hermes + ":0123456789abc",
		hermes + ":0123456789AB", hermes + ":0123456789ab-s390x", hermes + "-dev:latest",
		"molecule-local/workspace-template-mine:latest", "molecule-local/hermes:latest",
		"other/" + hermes + ":latest", "workspace-template-hermes:latest",
		"workspace-template:hermes", recs[0].Reference + "-arm64",
	} {
		img := imagestore.Image{ID: fmt.Sprint("sha256:other", i), Size: 7}
		if name == recs[0].Reference+"-arm64" {
			img.Labels = w.store.Images[recs[0].ImageID].Labels
		}
		w.store.Put(img, name)
	}
	all := w.store.References()
	codex := retention.Scope{Names: []string{"codex"}}
	if found := w.leftovers(t, codex).Images(); len(found) != 0 {
		t.Errorf("of another template: %+v", found)
	}
	w.store.Containers = []imagestore.Use{{Container: "web", Images: []string{earlier.ID}}}
	for _, item := range w.removeLeftovers(t).Items {
		if item.Action != retention.Kept {
			t.Errorf("in use: %+v", item)
		}
	}
	w.store.Containers = nil
	report := w.removeLeftovers(t)
	for _, name := range names {
		wantItem(t, report, name, retention.Removed, "earlier local build")
		delete(all, name)
	}
	if got := w.store.References(); len(report.Items) != 3 || report.Reclaimed != 5 ||
		!maps.Equal(got, all) || w.store.Images[earlier.ID].ID != "" {
		t.Errorf("%+v, left are %v", report, got)
	}
	w.wantRecords(t, 1)
}

// TestLeftoversWithoutAName: only what a recorded image of the same recipe has replaced.
func TestLeftoversWithoutAName(t *testing.T) {
	w, recs := newCommits(t, 2)
	rec, other := recs[0], recs[1]
	labels := w.store.Images[rec.ImageID].Labels
	for _, r := range recs {
		named := w.store.Images[r.ImageID]
		named.Shape = "shape"
		w.store.Images[r.ImageID] = named
	}
	for id, img := range map[string]imagestore.Image{
		"sha256:replaced":   {Labels: labels, Shape: "shape"},
		"sha256:derived":    {Labels: labels, Shape: "one layer more"},
		"sha256:unknown":    {Labels: labels},
		"sha256:unlabelled": {Shape: "shape"},
		"sha256:elsewhere":  {Labels: left().Labels, Shape: "shape"},
	} {
		img.ID, img.Size = id, 9
		w.store.Images[id] = img
	}
	w.store.Put(imagestore.Image{ID: "sha256:named", Labels: labels, Shape: "shape"}, "mine:1")
	delete(w.store.Tags, other.Reference) // it is in the record
	delete(w.store.Tags, latest)
	found := w.leftovers(t, retention.Scope{}).Images()
	if len(found) != 1 || found[0].ID != "sha256:replaced" || found[0].Name != "claude-code" {
		t.Errorf("found %+v", found)
	}
	unlock, err := w.dir.Lock(t.Context(), rec.Key, 0)
	if err != nil {
		t.Fatal(err)
	}
	wantItem(t, w.removeLeftovers(t), "", retention.Kept, "a build")
	unlock()
	before := len(w.store.Images)
	report := w.removeLeftovers(t)
	wantItem(t, report, "", retention.Removed, "taken its name")
	if _, stays := w.store.Images["sha256:replaced"]; stays || len(w.store.Images) != before-1 ||
		report.Reclaimed != 9 {
		t.Errorf("%+v, left are %v", report, w.store.Images)
	}
}

// TestLeftoversLookAgain: a name that has moved in the meantime stays.
func TestLeftoversLookAgain(t *testing.T) {
	w, _ := newCommits(t, 0)
	name := "molecule-local/workspace-template-hermes:latest"
	w.store.Put(imagestore.Image{ID: "sha256:earlier"}, name)
	found := w.leftovers(t, retention.Scope{})
	rec := w.build(t, "hermes", w.recipe(t, "hermes", 1)) // has the name now
	report, _, err := found.Remove(t.Context(), false)
	if err != nil || w.store.References()[name] != rec.ImageID {
		t.Errorf("%v, left are %v", err, w.store.References())
	}
	wantItem(t, report, name, retention.Kept, "changed")
}

func TestLeftoversOfAToken(t *testing.T) {
	w, _ := newCommits(t, 0)
	name := "molecule-local/workspace-template-hermes:latest"
	w.store.Put(imagestore.Image{ID: "sha256:none"}, name)
	w.store.Put(imagestore.Image{ID: "sha256:mine"}, name+"--job-7")
	w.store.Put(imagestore.Image{ID: "sha256:other"}, name+"--job-8")
	c := w.config()
	c.Isolation = "job-7"
	s, err := retention.Look(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.FindLeftovers(t.Context(), retention.Scope{})
	if err != nil || len(found.Images()) != 1 || found.Images()[0].ID != "sha256:mine" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestLeftoversInAFolder(t *testing.T) {
	w := newWorld(t, imagestore.KindOCI)
	w.store.Put(imagestore.Image{ID: "sha256:x"}, "molecule-local/workspace-template-hermes:latest")
	c := w.config()
	c.Store = struct{ imagestore.Store }{w.store} // a folder can remove no image by its ID
	s, err := retention.Look(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.FindLeftovers(t.Context(), retention.Scope{})
	if err != nil || len(found.Images()) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
}
