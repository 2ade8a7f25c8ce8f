package pinion

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/diskspace"
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

func TestPruneRefusesNegativeNumbers(t *testing.T) {
	w := newWorld(t)
	for _, opts := range []PruneOptions{{Keep: -1}, {MaxSize: -1}} {
		if _, err := w.Prune(t.Context(), opts); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}

// TestPruneOptions: the options and each action reach the report.
func TestPruneOptions(t *testing.T) {
	w := newWorld(t)
	images := w.commits(t, 4)
	delete(w.store.Images, images[0].ID)
	delete(w.store.Tags, images[0].Reference)
	report := w.prune(t, PruneOptions{Keep: 3, MaxSize: 2 * 42})
	for i, want := range []PruneAction{PruneForgotten, PruneRemoved, PruneKept, PruneKept} {
		wantItem(t, report, images[i].Reference, want)
	}
	if report.Reclaimed != 42 || report.Remaining != 2*42 || w.recorded(t) != 2 {
		t.Errorf("%+v, %d records", report, w.recorded(t))
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

// disk has the world's images on a disk of 1000 bytes on which others use some.
func (w *world) disk(t *testing.T, others int64) {
	w.store.RootDir = t.TempDir()
	w.space = func(string) (diskspace.Space, error) {
		used := others + 42*int64(len(w.store.Images))
		return diskspace.Space{Free: 1000 - used, Total: 1000}, nil
	}
}

func TestPruneByAgeAndDisk(t *testing.T) {
	for name, c := range map[string]struct {
		others int64
		opts   PruneOptions
		left   int
	}{
		"young":            {0, PruneOptions{Keep: 4, MaxAge: time.Hour}, 3},
		"old":              {0, PruneOptions{Keep: 4, MaxAge: time.Nanosecond}, 1},
		"enough room":      {0, PruneOptions{Keep: 4, MaxDiskUse: 0.9}, 3},
		"a full disk":      {800, PruneOptions{Keep: 4, MaxDiskUse: 0.9}, 2},
		"a very full disk": {800, PruneOptions{Keep: 4, MaxDiskUse: 0.5}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			newest := w.commits(t, 3)[2]
			w.disk(t, c.others)
			w.prune(t, c.opts)
			if _, ok := w.store.Images[newest.ID]; !ok || len(w.store.Images) != c.left {
				t.Errorf("%d images left, the newest among them: %t", len(w.store.Images), ok)
			}
		})
	}
	for _, opts := range []PruneOptions{{MaxAge: -1}, {MaxDiskUse: -0.1}, {MaxDiskUse: 80}} {
		if _, err := newWorld(t).Prune(t.Context(), opts); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}

// TestDisk: a disk that others fill up is that of the images, or else that of the cache folder.
func TestDisk(t *testing.T) {
	w := newWorld(t)
	w.disk(t, 900)
	d, err := w.Disk(t.Context())
	if err != nil || d != (Disk{Path: w.store.RootDir, Images: true, Free: 100, Total: 1000}) ||
		d.Use() != 0.9 {
		t.Errorf("%+v, %v", d, err)
	}
	w.store.Address = "tcp://far:2376"
	if d, err = w.Disk(t.Context()); err != nil || d.Images || d.Path == w.store.RootDir {
		t.Errorf("%+v, %v", d, err)
	}
	w.store.Before = storetest.Refuse("info", "", imagestore.ErrUnavailable)
	if _, err = w.Disk(t.Context()); ClassOf(err) != ClassStore {
		t.Errorf("%v", err)
	}
}

// TestBeforeBuild: a build waits for what is done before it, and a hit does not.
func TestBeforeBuild(t *testing.T) {
	var before []string
	var w *world
	w = newWorld(t, WithBeforeBuild(func(_ context.Context, name string) string {
		before = append(before, fmt.Sprint(name, " after ", w.builder.solves()))
		return "made room"
	}))
	var events []Event
	w.ensure(t, OnEvent(func(e Event) { events = append(events, e) }))
	w.ensure(t)
	if !slices.Equal(before, []string{"claude-code after 0"}) {
		t.Errorf("before the build: %q", before)
	}
	if !slices.ContainsFunc(events, func(e Event) bool {
		return e.Type == EventNotice && e.Text == "made room"
	}) {
		t.Errorf("no notice among %+v", events)
	}
}
