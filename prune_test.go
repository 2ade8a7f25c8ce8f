package pinion

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

const latestOf = "molecule-local/workspace-template-claude-code:latest"

// commits builds n commits, the oldest first.
func (w *world) commits(t *testing.T, n int) (images []Image) {
	t.Helper()
	for i := range n {
		w.heads.sha = strings.Repeat(fmt.Sprintf("%x", i+1), 40)
		images = append(images, w.ensure(t))
	}
	return images
}

func (w *world) prune(t *testing.T, opts PruneOptions) PruneReport {
	t.Helper()
	report, err := w.Prune(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (w *world) recorded(t *testing.T) int {
	t.Helper()
	dir, err := w.records()
	if err != nil {
		t.Fatal(err)
	}
	recs, err := dir.All()
	if err != nil {
		t.Fatal(err)
	}
	return len(recs)
}

// item is what the report says of a reference.
func item(t *testing.T, r PruneReport, ref string) PruneItem {
	t.Helper()
	i := slices.IndexFunc(r.Items, func(i PruneItem) bool { return i.Reference == ref })
	if i < 0 {
		t.Fatalf("%s is not in %+v", ref, r)
	}
	return r.Items[i]
}

// wantItem checks an action and the words of its reason.
func wantItem(t *testing.T, r PruneReport, ref string, action PruneAction, words ...string) {
	t.Helper()
	got := item(t, r, ref)
	for _, word := range words {
		if !strings.Contains(got.Reason, word) {
			t.Errorf("%s: reason %q does not say %q", ref, got.Reason, word)
		}
	}
	if got.Action != action {
		t.Errorf("%s: %s (%s), not %s", ref, got.Action, got.Reason, action)
	}
}

func TestPruneKeepsTheNewestOfEachLine(t *testing.T) {
	for _, kind := range []imagestore.Kind{imagestore.KindClassic, imagestore.KindContainerd} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			w.store.Kind = kind
			images := w.commits(t, 4)
			other, err := w.Ensure(t.Context(), "hermes")
			if err != nil {
				t.Fatal(err)
			}
			before := w.store.References()
			dry := w.prune(t, PruneOptions{DryRun: true})
			if !dry.DryRun || !maps.Equal(before, w.store.References()) || w.recorded(t) != 5 {
				t.Errorf("a dry run left %v of %v", w.store.References(), before)
			}
			report := w.prune(t, PruneOptions{})
			for i, want := range []PruneAction{PruneRemoved, PruneRemoved, PruneKept, PruneKept} {
				wantItem(t, report, images[i].Reference, want, "newest 2")
			}
			wantItem(t, report, other.Reference, PruneKept)
			dry.DryRun = false
			if fmt.Sprint(dry) != fmt.Sprint(report) || report.Reclaimed != 2*42 ||
				report.Remaining != 3*42 {
				t.Errorf("the dry run said %+v, it was %+v", dry, report)
			}
			if len(w.store.Images) != 3 || w.recorded(t) != 3 ||
				w.store.References()[latestOf] != images[3].ID {
				t.Errorf("left are %v and %d records", w.store.References(), w.recorded(t))
			}
			w.heads.sha = images[0].Revision.String()
			if again := w.ensure(t); again.Outcome != OutcomeBuilt ||
				again.Reason != "no image for this revision" {
				t.Errorf("asked for what was pruned: %+v", again)
			}
		})
	}
}

func TestPruneKeep(t *testing.T) {
	w := newWorld(t)
	w.commits(t, 4)
	for _, c := range []struct{ keep, want int }{{3, 3}, {5, 3}, {1, 1}} {
		if w.prune(t, PruneOptions{Keep: c.keep}); len(w.store.Images) != c.want {
			t.Errorf("keep %d: %d images left", c.keep, len(w.store.Images))
		}
	}
	for _, opts := range []PruneOptions{{Keep: -1}, {MaxSize: -1}} {
		if _, err := w.Prune(t.Context(), opts); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}

func TestPruneMaxSize(t *testing.T) {
	for _, c := range []struct {
		max  int64
		left int
	}{{4 * 42, 4}, {4*42 - 1, 3}, {2 * 42, 2}, {1, 1}} {
		w := newWorld(t)
		images := w.commits(t, 4)
		report := w.prune(t, PruneOptions{Keep: 4, MaxSize: c.max})
		if len(w.store.Images) != c.left || report.Remaining != int64(c.left)*42 {
			t.Errorf("at most %d: %d images left, report %+v", c.max, len(w.store.Images), report)
		}
		wantItem(t, report, images[3].Reference, PruneKept)
		if c.left < 4 {
			wantItem(t, report, images[0].Reference, PruneRemoved, "too much")
		}
	}
}

// What is used stays, so the next in age goes in its place.
func TestPruneMaxSizeGoesPastWhatIsUsed(t *testing.T) {
	w := newWorld(t)
	images := w.commits(t, 3)
	w.store.Containers = []imagestore.Use{{Container: "web", Images: []string{images[0].ID}}}
	report := w.prune(t, PruneOptions{Keep: 3, MaxSize: 2 * 42})
	wantItem(t, report, images[0].Reference, PruneKept, "web")
	wantItem(t, report, images[1].Reference, PruneRemoved)
}

func TestPruneKeepsWhatAContainerUses(t *testing.T) {
	w := newWorld(t)
	images := w.commits(t, 4)
	// An engine may name the image by any of its digests.
	w.store.Containers = []imagestore.Use{
		{Container: "web", Images: []string{images[0].ManifestDigest}},
		{Container: "other", Images: []string{"sha256:other", images[1].ConfigDigest}},
	}
	for _, dry := range []bool{true, false} {
		report := w.prune(t, PruneOptions{DryRun: dry})
		wantItem(t, report, images[0].Reference, PruneKept, "container web")
		wantItem(t, report, images[1].Reference, PruneKept, "container other")
	}
}

func TestPruneKeepsWhatABuildIsUsing(t *testing.T) {
	w := newWorld(t)
	images := w.commits(t, 3)
	dir, err := w.records()
	if err != nil {
		t.Fatal(err)
	}
	recs, err := dir.All()
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := dir.Lock(t.Context(), recs[2].Key, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for _, dry := range []bool{true, false} {
		wantItem(t, w.prune(t, PruneOptions{DryRun: dry}), images[0].Reference,
			PruneKept, "a build")
	}
	unlock()
	wantItem(t, w.prune(t, PruneOptions{}), images[0].Reference, PruneRemoved)
}

func TestPruneTouchesOnlyWhatIsOurs(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(w *world, img Image)
		action PruneAction
		words  string
	}{
		"the tag moved": {func(w *world, img Image) {
			w.store.Put(imagestore.Image{ID: "sha256:foreign"}, img.Reference)
		}, PruneKept, "names another image now"},
		"the tag moved and the image is gone": {func(w *world, img Image) {
			w.store.Put(imagestore.Image{ID: "sha256:foreign"}, img.Reference)
			delete(w.store.Images, img.ID)
		}, PruneForgotten, "no longer"},
		"the tag is gone": {func(w *world, img Image) {
			delete(w.store.Tags, img.Reference)
		}, PruneKept, "lost its name"},
		"other labels": {func(w *world, img Image) {
			w.store.Images[img.ID].Labels[LabelRecipe] = "sha256:other"
		}, PruneKept, LabelRecipe},
		"the image is gone": {func(w *world, img Image) {
			delete(w.store.Images, img.ID)
			delete(w.store.Tags, img.Reference)
		}, PruneForgotten, "no longer"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			images := w.commits(t, 3)
			c.spoil(w, images[0])
			foreign := "molecule-local/workspace-template-claude-code:mine"
			w.store.Put(imagestore.Image{ID: "sha256:mine",
				Labels: w.store.Images[images[1].ID].Labels}, foreign)
			tags := w.store.References()
			report := w.prune(t, PruneOptions{})
			wantItem(t, report, images[0].Reference, c.action, c.words)
			if got := w.store.References(); !maps.Equal(got, tags) {
				t.Errorf("tags were %v, are %v", tags, got)
			}
			if want := map[PruneAction]int{PruneKept: 3,
				PruneForgotten: 2}[c.action]; w.recorded(t) != want {
				t.Errorf("%d records, want %d", w.recorded(t), want)
			}
		})
	}
}

// A record is a file, and a file may say anything.
func TestPruneBelievesNoRecordsNames(t *testing.T) {
	w := newWorld(t)
	img := w.ensure(t)
	dir, err := w.records()
	if err != nil {
		t.Fatal(err)
	}
	recs, err := dir.All()
	if err != nil {
		t.Fatal(err)
	}
	victims := []string{"postgres:16", "molecule-local/workspace-template-claude-code:other",
		"postgres@" + img.ID, img.ID, "molecule-local/"}
	for i, ref := range victims {
		rec := recs[0]
		rec.Reference, rec.Key = ref, strings.Repeat(fmt.Sprint(i), 64)
		rec.BuiltAt = rec.BuiltAt.AddDate(-1, 0, 0)
		w.store.Put(w.store.Images[img.ID], ref)
		if err := dir.Put(rec); err != nil {
			t.Fatal(err)
		}
	}
	tags := w.store.References()
	report := w.prune(t, PruneOptions{Keep: 1, MaxSize: 1})
	for _, ref := range victims {
		wantItem(t, report, ref, PruneKept)
	}
	if !maps.Equal(tags, w.store.References()) {
		t.Errorf("left are %v", w.store.References())
	}
}

func TestPruneLeavesOtherStoresRecords(t *testing.T) {
	w := newWorld(t)
	w.commits(t, 3)
	w.store.Kind = imagestore.KindContainerd
	w.store.Images, w.store.Tags = map[string]imagestore.Image{}, map[string]string{}
	if report := w.prune(t, PruneOptions{}); len(report.Items) != 0 || w.recorded(t) != 3 {
		t.Errorf("%+v, %d records", report, w.recorded(t))
	}
	w.store.Kind, w.store.Address = imagestore.KindClassic, "unix:///other.sock"
	if report := w.prune(t, PruneOptions{}); len(report.Items) != 0 || w.recorded(t) != 3 {
		t.Errorf("%+v, %d records", report, w.recorded(t))
	}
}

func TestPruneTakesLatestOnlyWithItsImage(t *testing.T) {
	w := newWorld(t)
	images := w.commits(t, 3)
	w.store.Tags[latestOf] = images[0].ID
	w.prune(t, PruneOptions{})
	// The pinned name goes last: until then the image and its record are whole.
	if want := []string{latestOf,
		images[0].Reference}; !slices.Equal(w.store.Untagged[len(w.store.Untagged)-2:], want) {
		t.Errorf("untagged %v, want %v at the end", w.store.Untagged, want)
	}
}

func TestPruneReportsWhatTheEngineRefuses(t *testing.T) {
	w := newWorld(t)
	images := w.commits(t, 4)
	w.store.Tags[latestOf] = images[0].ID
	w.store.Before = storetest.Refuse("untag", images[0].Reference,
		errors.New("conflict: container 1234 is using it"))
	report := w.prune(t, PruneOptions{})
	wantItem(t, report, images[0].Reference, PruneKept, "the engine refuses", "container 1234")
	wantItem(t, report, images[1].Reference, PruneRemoved)
	if got := w.store.References(); got[latestOf] != images[0].ID ||
		got[images[0].Reference] != images[0].ID || w.recorded(t) != 3 {
		t.Errorf("half a state: %v, %d records", got, w.recorded(t))
	}
}

func TestPruneSaysThatAnotherNameHoldsTheImage(t *testing.T) {
	w := newWorld(t)
	images := w.commits(t, 3)
	w.store.Tags["somebody/else:1"] = images[0].ID
	for _, dry := range []bool{true, false} {
		report := w.prune(t, PruneOptions{DryRun: dry})
		wantItem(t, report, images[0].Reference, PruneRemoved)
		if report.Reclaimed != 0 {
			t.Errorf("dry %v: reclaimed %d", dry, report.Reclaimed)
		}
	}
	if w.store.References()["somebody/else:1"] != images[0].ID {
		t.Error("somebody else's name is gone")
	}
}

func TestPruneRemovesLeftoverTemporaryNames(t *testing.T) {
	w := newWorld(t)
	img := w.ensure(t)
	key := strings.TrimPrefix(w.store.Images[img.ID].Labels[LabelRecipe], "sha256:")
	repository, _, _ := strings.Cut(img.Reference, ":")
	left := imagestore.Image{ID: "sha256:left", Size: 7,
		Labels: map[string]string{LabelRecipe: "sha256:" + strings.Repeat("ab", 32)}}
	ours := repository + ":unverified-" + strings.Repeat("ab", 6) + "-" + w.owner
	w.store.Put(left, ours)
	foreign := []string{
		repository + ":unverified-" + strings.Repeat("ab", 6) + "-0badcafe",   // another owner's
		repository + ":unverified-" + strings.Repeat("cd", 6) + "-" + w.owner, // another key's
		"other/" + ours,
		"127.0.0.1:40000/other/" + ours,
		"registry.example:40000/" + ours,
	}
	for i, ref := range foreign {
		other := left
		other.ID = fmt.Sprint("sha256:foreign", i)
		w.store.Put(other, ref)
	}
	w.store.Put(imagestore.Image{ID: "sha256:unlabelled"},
		repository+":unverified-"+key[:12]+"-"+w.owner)
	dir, err := w.records()
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := dir.Lock(t.Context(), strings.Repeat("ab", 32), 0)
	if err != nil {
		t.Fatal(err)
	}
	wantItem(t, w.prune(t, PruneOptions{}), ours, PruneKept, "a build")
	unlock()
	pulled := "127.0.0.1:40000/" + ours // the engine's name for it while it pulls
	w.store.Put(left, pulled)
	before := len(w.store.References()) - 1
	report := w.prune(t, PruneOptions{})
	wantItem(t, report, ours, PruneRemoved, "left over")
	wantItem(t, report, pulled, PruneRemoved, "left over")
	if report.Reclaimed != 7 || len(w.store.References()) != before-1 ||
		w.store.Images[left.ID].ID != "" {
		t.Errorf("%+v, left %v", report, w.store.References())
	}
}

func TestPruneGivesUpWithTheEngine(t *testing.T) {
	w := newWorld(t)
	images := w.commits(t, 4)
	gone := fmt.Errorf("the engine %w", imagestore.ErrUnavailable)
	w.store.Before = storetest.Refuse("untag", images[0].Reference, gone)
	report, err := w.Prune(t.Context(), PruneOptions{})
	var e *Error
	if !errors.Is(err, ErrStore) || !errors.As(err, &e) || e.Origin != OriginDocker {
		t.Errorf("error is %v", err)
	}
	wantItem(t, report, images[1].Reference, PruneRemoved)
	if len(report.Items) != 3 || w.recorded(t) != 3 {
		t.Errorf("%+v, %d records", report, w.recorded(t))
	}
	w.store.Before = storetest.Refuse("", "", imagestore.ErrUnavailable)
	if _, err := w.Prune(t.Context(), PruneOptions{}); !errors.Is(err, ErrStore) ||
		w.recorded(t) != 3 {
		t.Errorf("error is %v, %d records", err, w.recorded(t))
	}
	if _, err := w.DiskUsage(t.Context()); !errors.Is(err, ErrStore) {
		t.Errorf("error is %v", err)
	}
}

func TestPruneCancelled(t *testing.T) {
	w := newWorld(t)
	w.commits(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Prune(ctx, PruneOptions{}); !errors.Is(err, context.Canceled) ||
		w.recorded(t) != 3 {
		t.Errorf("error is %v, %d records", err, w.recorded(t))
	}
}

func TestPruneLooksAgainUnderTheLock(t *testing.T) {
	for name, c := range map[string]struct {
		meddle func(w *world, img Image)
		action PruneAction
		words  string
	}{
		"the tag moves": {func(w *world, img Image) {
			w.store.Put(imagestore.Image{ID: "sha256:foreign"}, img.Reference)
		}, PruneKept, "another image"},
		"the image goes": {func(w *world, img Image) {
			delete(w.store.Images, img.ID)
			delete(w.store.Tags, img.Reference)
		}, PruneForgotten, "no longer"},
		"it is built again": {func(w *world, img Image) {
			w.rewrite(img, func(rec *cache.Record) { rec.ImageID = "sha256:again" })
			w.store.Put(imagestore.Image{ID: "sha256:again"}, img.Reference)
		}, PruneKept, "built again"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			images := w.commits(t, 3)
			// The list of the containers is the last thing that is looked at without the lock.
			w.store.Before = func(op, _ string) error {
				if op == "list containers" {
					c.meddle(w, images[0])
				}
				return nil
			}
			wantItem(t, w.prune(t, PruneOptions{}), images[0].Reference, c.action, c.words)
			if name == "the tag moves" &&
				w.store.References()[images[0].Reference] != "sha256:foreign" {
				t.Error("the foreign image has lost its name")
			}
			if want := map[PruneAction]int{PruneKept: 3,
				PruneForgotten: 2}[c.action]; w.recorded(t) != want {
				t.Errorf("%d records, want %d", w.recorded(t), want)
			}
		})
	}
}

// rewrite replaces an image's record.
func (w *world) rewrite(img Image, change func(*cache.Record)) {
	dir, err := w.records()
	if err != nil {
		panic(err)
	}
	recs, err := dir.All()
	if err != nil {
		panic(err)
	}
	for _, rec := range recs {
		if rec.ImageID == img.ID {
			change(&rec)
			if err := dir.Put(rec); err != nil {
				panic(err)
			}
		}
	}
}

func TestDiskUsage(t *testing.T) {
	w := newWorld(t)
	images := w.commits(t, 4)
	if _, err := w.Ensure(t.Context(), "hermes"); err != nil {
		t.Fatal(err)
	}
	w.store.Containers = []imagestore.Use{{Container: "web", Images: []string{images[0].ID}}}
	labels := w.store.Images[images[1].ID].Labels
	repository, _, _ := strings.Cut(images[1].Reference, ":")
	// One beside its image's own name takes nothing, one alone all of its image.
	w.store.Tags[repository+":unverified-"+labels[LabelRecipe][7:19]+"-"+w.owner] = images[1].ID
	w.store.Put(imagestore.Image{ID: "sha256:left", Size: 7,
		Labels: map[string]string{LabelRecipe: "sha256:" + strings.Repeat("ab", 32)}},
		repository+":unverified-"+strings.Repeat("ab", 6)+"-"+w.owner)
	before := w.store.References()
	got, err := w.DiskUsage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := DiskUsage{
		Templates: []TemplateUsage{
			{Name: "hermes", Repository: got.Templates[0].Repository, Platform: "linux/amd64",
				Images: 1, Size: 42},
			{Name: "claude-code", Repository: images[0].Repository, Platform: "linux/amd64",
				Images: 4, InUse: 1, Size: 4 * 42, Reclaimable: 42},
		},
		Unverified: 2, Size: 5*42 + 7, Reclaimable: 42 + 7,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || !maps.Equal(before, w.store.References()) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
