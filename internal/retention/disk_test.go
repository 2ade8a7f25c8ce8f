package retention_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/diskspace"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
)

// disk has the world's images on a disk of 1000 bytes on which others use some.
func (w *world) disk(t *testing.T, others int64) retention.Config {
	w.store.RootDir = t.TempDir()
	c := w.config()
	c.Measure = func(path string) (diskspace.Space, error) {
		used := others
		if path == w.store.RootDir {
			used += 42 * int64(len(w.store.Images))
		}
		return diskspace.Space{Free: 1000 - used, Total: 1000}, nil
	}
	return c
}

func prune(t *testing.T, c retention.Config, p retention.Policy) retention.Report {
	t.Helper()
	s, err := retention.Look(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	report, err := s.Prune(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestPruneMaxDiskUse(t *testing.T) {
	for _, c := range []struct {
		others int64
		left   int // of four images, which take 168
	}{{0, 4}, {632, 4}, {633, 3}, {710, 2}, {999, 1}} {
		w, recs := newCommits(t, 4)
		at := w.disk(t, c.others)
		p := retention.Policy{Keep: 4, MaxDiskUse: 0.8, DryRun: true}
		dry := prune(t, at, p)
		p.DryRun = false
		report := prune(t, at, p)
		if len(w.store.Images) != c.left || report.Remaining != int64(c.left)*42 ||
			fmt.Sprint(dry) != fmt.Sprint(report) {
			t.Errorf("others use %d: %d images left, report %+v, a dry run said %+v", c.others,
				len(w.store.Images), report, dry)
		}
		wantItem(t, report, recs[3].Reference, retention.Kept)
		if c.left < 4 {
			wantItem(t, report, recs[0].Reference, retention.Removed, "disk is too full")
		}
	}
}

// TestPruneMaxDiskUseSparesWhatIsUsed: what a container uses stays on a full disk, and so does what
// Pinion did not make.
func TestPruneMaxDiskUseSparesWhatIsUsed(t *testing.T) {
	w, recs := newCommits(t, 3)
	w.store.Containers = []imagestore.Use{{Container: "web", Images: []string{recs[0].ImageID}}}
	foreign := imagestore.Image{ID: "sha256:foreign", Size: 500}
	w.store.Put(foreign, repository+":mine")
	report := prune(t, w.disk(t, 900), retention.Policy{Keep: 3, MaxDiskUse: 0.1})
	wantItem(t, report, recs[0].Reference, retention.Kept, "web")
	wantItem(t, report, recs[1].Reference, retention.Removed)
	wantItem(t, report, recs[2].Reference, retention.Kept)
	if w.store.References()[repository+":mine"] != foreign.ID || len(report.Items) != 3 {
		t.Errorf("%+v, left %v", report, w.store.References())
	}
}

// TestPruneMaxDiskUseElsewhere: a disk that cannot be seen or measured removes nothing.
func TestPruneMaxDiskUseElsewhere(t *testing.T) {
	for name, change := range map[string]func(*world, *retention.Config){
		"another machine": func(w *world, _ *retention.Config) {
			w.store.Address = "tcp://far:2376"
		},
		"a virtual machine": func(w *world, _ *retention.Config) {
			w.store.RootDir = "/no/such/folder"
		},
		"no measure": func(_ *world, c *retention.Config) {
			c.Measure = func(string) (diskspace.Space, error) {
				return diskspace.Space{}, errors.New("not on this system")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newCommits(t, 3)
			c := w.disk(t, 990)
			change(w, &c)
			p := retention.Policy{Keep: 3, MaxDiskUse: 0.5}
			prune(t, c, p)
			if len(w.store.Images) != 3 {
				t.Errorf("%d images left", len(w.store.Images))
			}
			s, err := retention.Look(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			want := int64(1) // there are none, and the disk of the folder is full
			if name == "no measure" {
				want = 100
			}
			if got := s.BoundCaches(p, 100); got != want {
				t.Errorf("the build caches may take %d", got)
			}
		})
	}
}

func TestFindDisk(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	c := w.disk(t, 900)
	d, err := c.FindDisk(t.Context())
	if err != nil || !d.HasImages || d.Path != w.store.RootDir || d.Use() != 0.9 {
		t.Errorf("%+v, %v", d, err)
	}
	w.store.Address = "ssh://far"
	if d, err = c.FindDisk(t.Context()); err != nil || d.HasImages || d.Path != w.dir.Path() {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestPruneMaxAge: old images go, but of a template that can be requested one stays.
func TestPruneMaxAge(t *testing.T) {
	w, recs := newCommits(t, 4) // a second apart
	gone := w.build(t, "hermes", w.recipe(t, "hermes", 1))
	old := gone.BuiltAt.Add(-time.Hour)
	for _, rec := range []*cache.Record{&recs[0], &recs[1], &gone} {
		rec.BuiltAt = old
		w.put(t, *rec)
	}
	c := w.config()
	c.Current = map[recipe.Source]bool{w.recipe(t, "claude-code", 1).Source(): true}
	p := retention.Policy{Keep: 3, MaxAge: 30 * time.Minute, Now: w.now}
	report := prune(t, c, p)
	wantItem(t, report, recs[0].Reference, retention.Removed, "not among the newest")
	wantItem(t, report, recs[1].Reference, retention.Removed, "built longer than 30m0s ago")
	wantItem(t, report, recs[2].Reference, retention.Kept)
	wantItem(t, report, gone.Reference, retention.Removed, "30m0s")
	p.Now = p.Now.AddDate(1, 0, 0)
	report = prune(t, c, p)
	wantItem(t, report, recs[2].Reference, retention.Removed)
	wantItem(t, report, recs[3].Reference, retention.Kept)
}
