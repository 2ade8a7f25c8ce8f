package retention_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/errdefs"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
)

func TestPruneKeepsTheNewestOfEachLine(t *testing.T) {
	for _, kind := range []imagestore.Kind{imagestore.KindClassic, imagestore.KindContainerd} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, kind)
			recs := w.commits(t, 4)
			other := w.build(t, "hermes", w.recipe(t, "hermes", 1))
			before := w.store.References()
			dry := w.prune(t, retention.Policy{DryRun: true})
			if !maps.Equal(before, w.store.References()) {
				t.Errorf("a dry run left %v of %v", w.store.References(), before)
			}
			w.wantRecords(t, 5)
			report := w.prune(t, retention.Policy{})
			for i, want := range []retention.Action{retention.Removed, retention.Removed,
				retention.Kept, retention.Kept} {
				wantItem(t, report, recs[i].Reference, want, "newest 2")
			}
			wantItem(t, report, other.Reference, retention.Kept)
			if fmt.Sprint(dry) != fmt.Sprint(report) || report.Reclaimed != 2*42 ||
				report.Remaining != 3*42 {
				t.Errorf("the dry run said %+v, it was %+v", dry, report)
			}
			w.wantRecords(t, 3)
			if len(w.store.Images) != 3 || w.store.References()[latest] != recs[3].ImageID {
				t.Errorf("left are %v", w.store.References())
			}
		})
	}
}

func TestPruneKeep(t *testing.T) {
	w, _ := newCommits(t, 4)
	for _, c := range []struct{ keep, want int }{{3, 3}, {5, 3}, {1, 1}} {
		if w.prune(t, retention.Policy{Keep: c.keep}); len(w.store.Images) != c.want {
			t.Errorf("keep %d: %d images left", c.keep, len(w.store.Images))
		}
	}
}

func TestPruneMaxSize(t *testing.T) {
	for _, c := range []struct {
		max  int64
		left int
	}{{4 * 42, 4}, {4*42 - 1, 3}, {2 * 42, 2}, {1, 1}} {
		w, recs := newCommits(t, 4)
		report := w.prune(t, retention.Policy{Keep: 4, MaxSize: c.max})
		if len(w.store.Images) != c.left || report.Remaining != int64(c.left)*42 {
			t.Errorf("at most %d: %d images left, report %+v", c.max, len(w.store.Images), report)
		}
		wantItem(t, report, recs[3].Reference, retention.Kept)
		if c.left < 4 {
			wantItem(t, report, recs[0].Reference, retention.Removed, "too much")
		}
	}
}

// TestPruneMaxSizeGoesPastWhatIsUsed: what a container uses stays, so the next in age goes in its
// place.
func TestPruneMaxSizeGoesPastWhatIsUsed(t *testing.T) {
	w, recs := newCommits(t, 3)
	w.store.Containers = []imagestore.Use{{Container: "web", Images: []string{recs[0].ImageID}}}
	report := w.prune(t, retention.Policy{Keep: 3, MaxSize: 2 * 42})
	wantItem(t, report, recs[0].Reference, retention.Kept, "web")
	wantItem(t, report, recs[1].Reference, retention.Removed)
}

func TestPruneKeepsWhatAContainerUses(t *testing.T) {
	w, recs := newCommits(t, 4)
	// An engine may name the image by any of its digests.
	w.store.Containers = []imagestore.Use{
		{Container: "web", Images: []string{recs[0].ManifestDigest}},
		{Container: "other", Images: []string{"sha256:other", recs[1].ConfigDigest}},
	}
	for _, dry := range []bool{true, false} {
		report := w.prune(t, retention.Policy{DryRun: dry})
		wantItem(t, report, recs[0].Reference, retention.Kept, "container web")
		wantItem(t, report, recs[1].Reference, retention.Kept, "container other")
	}
}

func TestPruneKeepsWhatABuildIsUsing(t *testing.T) {
	w, recs := newCommits(t, 3)
	unlock, err := w.dir.Lock(t.Context(), recs[0].Key, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for _, dry := range []bool{true, false} {
		wantItem(t, w.prune(t, retention.Policy{DryRun: dry}), recs[0].Reference, retention.Kept,
			"a build")
	}
	unlock()
	wantItem(t, w.prune(t, retention.Policy{}), recs[0].Reference, retention.Removed)
}

func TestPruneTakesLatestOnlyWithItsImage(t *testing.T) {
	w, recs := newCommits(t, 3)
	w.store.Tags[latest] = recs[0].ImageID
	w.prune(t, retention.Policy{})
	// The pinned name goes last: until then the image and its record are whole.
	if want := []string{latest, recs[0].Reference}; !slices.Equal(w.store.Untagged, want) {
		t.Errorf("untagged %v, want %v", w.store.Untagged, want)
	}
}

func TestPruneReportsWhatTheEngineRefuses(t *testing.T) {
	w, recs := newCommits(t, 4)
	w.store.Tags[latest] = recs[0].ImageID
	w.store.Before = storetest.Refuse("untag", recs[0].Reference,
		errors.New("no space left on the disk, container 1234"))
	report := w.prune(t, retention.Policy{})
	wantItem(t, report, recs[0].Reference, retention.Kept, "the engine refuses", "container 1234")
	wantItem(t, report, recs[1].Reference, retention.Removed)
	w.wantRecords(t, 3)
	refusedItems(t, report, recs[0].Reference)
	if got := w.store.References(); got[latest] != recs[0].ImageID ||
		got[recs[0].Reference] != recs[0].ImageID {
		t.Errorf("half a state: %v", got)
	}
}

func TestPruneSaysThatTheImageHasAnotherName(t *testing.T) {
	w, recs := newCommits(t, 3)
	w.store.Tags["somebody/else:1"] = recs[0].ImageID
	for _, dry := range []bool{true, false} {
		report := w.prune(t, retention.Policy{DryRun: dry})
		wantItem(t, report, recs[0].Reference, retention.Removed)
		if report.Reclaimed != 0 {
			t.Errorf("dry %v: reclaimed %d", dry, report.Reclaimed)
		}
	}
	if w.store.References()["somebody/else:1"] != recs[0].ImageID {
		t.Error("somebody else's name is gone")
	}
}

func TestPruneGivesUpWithTheEngine(t *testing.T) {
	w, recs := newCommits(t, 4)
	gone := fmt.Errorf("the engine %w", imagestore.ErrUnavailable)
	w.store.Before = storetest.Refuse("untag", recs[0].Reference, gone)
	report, err := w.look(t).Prune(t.Context(), retention.Policy{Keep: 2})
	if !errors.Is(err, imagestore.ErrStore) || !errors.Is(err, imagestore.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
	wantItem(t, report, recs[1].Reference, retention.Removed)
	if len(report.Items) != 3 {
		t.Errorf("%+v", report)
	}
	w.wantRecords(t, 3)
	for _, op := range []string{"info", "inspect", "list", "list containers"} {
		w.store.Before = storetest.Refuse(op, "", imagestore.ErrUnavailable)
		if _, err := retention.Look(t.Context(), w.config()); !errors.Is(err,
			imagestore.ErrStore) {
			t.Errorf("%s: error is %v", op, err)
		}
	}
}

func TestPruneCancelled(t *testing.T) {
	w, _ := newCommits(t, 3)
	s := w.look(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report, err := s.Prune(ctx, retention.Policy{Keep: 2})
	if !errors.Is(err, context.Canceled) || report.Reclaimed != 0 || report.Remaining != 3*42 {
		t.Errorf("%+v, %v", report, err)
	}
	w.wantRecords(t, 3)
}

// TestPruneReadsItsRecordAlone: under the lock of an image the records of the others do not count,
// however many there are. A reader of them would put the broken one aside.
func TestPruneReadsItsRecordAlone(t *testing.T) {
	w, recs := newCommits(t, 4)
	s := w.look(t)
	files, err := filepath.Glob(filepath.Join(w.dir.Path(), "records", "*", "*",
		recs[3].Key+"-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := s.Prune(t.Context(), retention.Policy{Keep: 2})
	if err != nil {
		t.Fatal(err)
	}
	wantItem(t, report, recs[0].Reference, retention.Removed)
	wantItem(t, report, recs[1].Reference, retention.Removed)
	if _, err := os.Stat(files[0]); err != nil {
		t.Errorf("a record of an image that stays was read: %v", err)
	}
}

// refusedItems checks which images were to go and were not allowed to.
func refusedItems(t *testing.T, r retention.Report, want ...string) {
	t.Helper()
	var got []string
	for _, i := range r.Items {
		if i.Refused {
			got = append(got, i.Reference)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("refused are %q, not %q", got, want)
	}
}

// TestInUseIsNoRefusal: an image that came into use meanwhile stays, and nothing is wrong.
func TestInUseIsNoRefusal(t *testing.T) {
	w, recs := newCommits(t, 3)
	w.store.Before = storetest.Refuse("untag", recs[0].Reference,
		fmt.Errorf("container 1234 is using it: %w", errdefs.ErrConflict))
	report := w.prune(t, retention.Policy{})
	wantItem(t, report, recs[0].Reference, retention.Kept, "container 1234")
	refusedItems(t, report)
}
