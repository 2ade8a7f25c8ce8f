package retention_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	repository = "molecule-local/workspace-template-claude-code"
	latest     = repository + ":latest"
	owner      = "me"
)

// world is a store in memory and a cache folder.
type world struct {
	store *storetest.Memory
	dir   *cache.Dir
	now   time.Time // one second more for each image
}

func newWorld(t *testing.T, kind imagestore.Kind) *world {
	t.Helper()
	dir, err := cache.Open(t.TempDir() + "/cache")
	if err != nil {
		t.Fatal(err)
	}
	return &world{store: storetest.NewMemory(kind), dir: dir,
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// newCommits is a world with the images of n commits.
func newCommits(t *testing.T, n int) (*world, []cache.Record) {
	t.Helper()
	w := newWorld(t, imagestore.KindClassic)
	return w, w.commits(t, n)
}

func (w *world) config() retention.Config {
	return retention.Config{Store: w.store, Dir: w.dir, Owner: owner}
}

// recipe returns that of a template at a commit, which is one digit.
func (w *world) recipe(t *testing.T, name string, commit int) recipe.Recipe {
	t.Helper()
	catalogue, err := resolver.NewCatalogue(resolver.DefaultRepoPrefix)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := catalogue.Template(name)
	if err != nil {
		t.Fatal(err)
	}
	rev, err := git.ParseRevision(strings.Repeat(fmt.Sprintf("%x", commit), 40))
	if err != nil {
		t.Fatal(err)
	}
	return recipe.New(tmpl, recipe.DefaultPlatform).At(rev)
}

// build stores an image of 42 bytes under its names, with its record.
func (w *world) build(t *testing.T, name string, r recipe.Recipe) cache.Record {
	t.Helper()
	res := buildkit.Result{ConfigDigest: digest.FromString("config " + r.Key()).String(),
		ManifestDigest: digest.FromString("manifest " + r.Key()).String()}
	id := res.ManifestDigest
	if w.store.Kind == imagestore.KindClassic {
		id = res.ConfigDigest
	}
	img := imagestore.Image{ID: id, Labels: r.Labels(), Platform: r.Platform, Size: 42}
	w.store.Put(img, r.Reference())
	w.store.Put(img, r.Latest())
	records := func() (*cache.Dir, error) { return w.dir, nil }
	rec := verify.NewArrival(imagestore.NewFacts(w.store), records, r, owner).Record(
		verify.Adopted{Image: img, Kind: w.store.Kind}, res, buildkit.Info{})
	w.now = w.now.Add(time.Second)
	rec.Name, rec.BuiltAt = name, w.now
	w.put(t, rec)
	return rec
}

// commits builds n commits, the oldest first.
func (w *world) commits(t *testing.T, n int) (recs []cache.Record) {
	t.Helper()
	for i := range n {
		recs = append(recs, w.build(t, "claude-code", w.recipe(t, "claude-code", i+1)))
	}
	return recs
}

func (w *world) put(t *testing.T, rec cache.Record) {
	t.Helper()
	if err := w.dir.Put(rec); err != nil {
		t.Fatal(err)
	}
}

// remove removes the image with its own name, as a user may.
func (w *world) remove(rec cache.Record) {
	delete(w.store.Images, rec.ImageID)
	delete(w.store.Tags, rec.Reference)
}

func (w *world) look(t *testing.T) *retention.Survey {
	t.Helper()
	s, err := retention.Look(t.Context(), w.config())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prune keeps the newest two if the policy names no number.
func (w *world) prune(t *testing.T, p retention.Policy) retention.Report {
	t.Helper()
	if p.Keep == 0 {
		p.Keep = 2
	}
	report, err := w.look(t).Prune(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (w *world) wantRecords(t *testing.T, want int) {
	t.Helper()
	recs, err := w.dir.All()
	if err != nil || len(recs) != want {
		t.Errorf("%d records, want %d; error %v", len(recs), want, err)
	}
}

// wantItem checks an action and the words of its reason.
func wantItem(
	t *testing.T, r retention.Report, ref string, action retention.Action, words ...string,
) {
	t.Helper()
	i := slices.IndexFunc(r.Items, func(i retention.Item) bool { return i.Reference == ref })
	if i < 0 {
		t.Fatalf("%s is not in %+v", ref, r)
	}
	got := r.Items[i]
	for _, word := range words {
		if !strings.Contains(got.Reason, word) {
			t.Errorf("%s: reason %q does not say %q", ref, got.Reason, word)
		}
	}
	if got.Action != action {
		t.Errorf("%s: %s (%s), not %s", ref, got.Action, got.Reason, action)
	}
}
