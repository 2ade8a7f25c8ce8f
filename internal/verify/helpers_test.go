package verify_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	shaA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	shaB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

var kinds = []imagestore.Kind{imagestore.KindClassic, imagestore.KindContainerd}

func revision(t *testing.T, s string) git.Revision {
	t.Helper()
	rev, err := git.ParseRevision(s)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// world is a store, a cache folder and the recipe of one commit.
type world struct {
	store  *storetest.Memory
	dir    *cache.Dir
	recipe recipe.Recipe
}

func newWorld(t *testing.T, kind imagestore.Kind) *world {
	t.Helper()
	dir, err := cache.Open(t.TempDir() + "/cache")
	if err != nil {
		t.Fatal(err)
	}
	remote, err := git.ParseRemote("https://git.example/o/r")
	if err != nil {
		t.Fatal(err)
	}
	tmpl := resolver.Template{Name: "own", Remote: remote, Dockerfile: resolver.DefaultDockerfile,
		Target: "final", Image: "workspace-template-own"}
	r := recipe.New(tmpl, recipe.DefaultPlatform).WithLabels(map[string]string{"team": "a"})
	return &world{store: storetest.NewMemory(kind), dir: dir, recipe: r.At(revision(t, shaA))}
}

func (w *world) records() (*cache.Dir, error) { return w.dir, nil }

// arrival is one by the user "me".
func (w *world) arrival() *verify.Arrival {
	return verify.NewArrival(imagestore.NewFacts(w.store), w.records, w.recipe, "me")
}

// image returns the image of the recipe, and what the builder reports about it.
func (w *world) image() (imagestore.Image, buildkit.Result) {
	res := buildkit.Result{ConfigDigest: digest.FromString("config " + w.recipe.Key()).String(),
		ManifestDigest: digest.FromString("manifest " + w.recipe.Key()).String()}
	id := res.ManifestDigest
	if w.store.Kind == imagestore.KindClassic {
		id = res.ConfigDigest
	}
	return imagestore.Image{ID: id, Labels: w.recipe.Labels(), Platform: w.recipe.Platform,
		Size: 42}, res
}

// build stores the image and its record.
func (w *world) build(t *testing.T) cache.Record {
	t.Helper()
	img, res := w.image()
	w.store.Put(img, w.recipe.Reference())
	rec := w.arrival().Record(verify.Adopted{Image: img, Kind: w.store.Kind}, res,
		buildkit.Info{Kind: buildkit.KindDocker})
	w.put(t, rec)
	return rec
}

func (w *world) put(t *testing.T, rec cache.Record) {
	t.Helper()
	if err := w.dir.Put(rec); err != nil {
		t.Fatal(err)
	}
}

// onlyRecord returns the record, which must be the only one.
func (w *world) onlyRecord(t *testing.T) cache.Record {
	t.Helper()
	recs, err := w.dir.All()
	if err != nil || len(recs) != 1 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	return recs[0]
}

// wantTags checks that the store has these tags and no other.
func (w *world) wantTags(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(w.store.References())); !slices.Equal(got, want) {
		t.Errorf("tags are %q, want %q", got, want)
	}
}

// load sends an archive with the image through an arrival.
func load(t *testing.T, a *verify.Arrival, archive storetest.Archive) {
	t.Helper()
	if err := a.Load(t.Context(), bytes.NewReader(archive.Tar)); err != nil {
		t.Fatal(err)
	}
}
