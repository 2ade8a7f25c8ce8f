package verify_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
)

const layerA = "sha256:" + shaA + "aaaaaaaaaaaaaaaaaaaaaaaa"

// TestReceive passes on the layers of earlier images of the same store, and remembers those of this
// one.
func TestReceive(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	earlier := w.build(t)
	earlier.Layers = []string{"sha256:earlier"}
	w.put(t, earlier)
	w.store.Address = "unix:///other.sock"
	other := w.build(t)
	other.Layers = []string{"sha256:elsewhere"}
	w.put(t, other)
	w.store.Address = earlier.Store
	w.recipe = w.recipe.At(revision(t, shaB))
	img, res := w.image()
	w.store.Expect(img)
	layers := []ocispecs.Descriptor{{Digest: layerA}}
	manifest, err := json.Marshal(ocispecs.Manifest{Layers: layers})
	if err != nil {
		t.Fatal(err)
	}
	a := w.arrival()
	sent := 0
	delivery, err := a.Receive(t.Context(), buildkit.Solved{Reference: a.Name(),
		Manifest: manifest}, func(n int) { sent += n })
	if err != nil || delivery.Via != buildkit.ViaPull {
		t.Fatalf("%+v, %v", delivery, err)
	}
	got := w.store.Transfers[0]
	want := []imagestore.LayerSet{{ImageID: earlier.ImageID, Layers: earlier.Layers}}
	if got.OnBytes(3); !reflect.DeepEqual(got.Earlier(), want) || sent != 3 ||
		got.Platform != w.recipe.Platform || got.Image.Reference != w.recipe.Temporary("me") {
		t.Errorf("the transfer is %+v", got)
	}
	adopted, err := a.Adopt(t.Context(), res, true)
	if err != nil || !slices.Equal(adopted.Layers, []string{layerA}) {
		t.Errorf("%+v, %v", adopted, err)
	}
}

func TestReceiveFails(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	w.store.Before = storetest.Refuse("receive", "", imagestore.ErrUnavailable)
	a := w.arrival()
	if _, err := a.Receive(t.Context(), buildkit.Solved{Reference: a.Name()},
		nil); !errors.Is(err, imagestore.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
}

// TestLoad adopts what comes as an archive.
func TestLoad(t *testing.T) {
	for _, kind := range kinds {
		w := newWorld(t, kind)
		a := w.arrival()
		archive := storetest.Build(storetest.Spec{Tag: a.Name(), Labels: w.recipe.Labels()})
		load(t, a, archive)
		w.wantTags(t, a.Name())
		res := buildkit.Result{ConfigDigest: archive.ConfigDigest.String(),
			ManifestDigest: archive.ManifestDigest.String()}
		got, err := a.Adopt(t.Context(), res, false)
		if err != nil || got.ID != archive.ID(kind) || got.Layers != nil {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
		w.wantTags(t, w.recipe.Reference())
	}
}

func TestLoadFails(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	broken := errors.New("the builder went away")
	if err := w.arrival().Load(t.Context(), iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	w.wantTags(t)
}

func TestRecord(t *testing.T) {
	w := newWorld(t, imagestore.KindContainerd)
	w.recipe = w.recipe.WithProvenance("min").WithIsolation("job-7")
	r := w.recipe
	descriptor := &ocispecs.Descriptor{Size: 7}
	res := buildkit.Result{ConfigDigest: "sha256:config", ManifestDigest: "sha256:manifest",
		Descriptor: descriptor, Args: []arg.Value{{Name: "A", Value: "1"}}}
	img := verify.Adopted{Image: imagestore.Image{ID: "sha256:manifest", Size: 42},
		Kind: imagestore.KindContainerd, Layers: []string{layerA}}
	before := time.Now()
	got := w.arrival().Record(img, res, buildkit.Info{Kind: buildkit.KindBuildkitd,
		Endpoint: "unix:///b.sock", Version: "v0.30.0"})
	if got.BuiltAt.Before(before) || got.BuiltAt.After(time.Now()) ||
		got.BuiltAt.Location() != time.UTC {
		t.Errorf("built at %s", got.BuiltAt)
	}
	got.BuiltAt = time.Time{}
	want := cache.Record{
		Key: r.Key(), Line: r.Line(), Reference: r.Reference(), Store: "unix:///fake.sock",
		StoreKind: "containerd", ImageID: "sha256:manifest", ConfigDigest: "sha256:config",
		ManifestDigest: "sha256:manifest", Descriptor: descriptor, Size: 42,
		Layers: []string{layerA}, Revision: shaA, Repository: "https://git.example/o/r",
		Platform: "linux/amd64", Labels: map[string]string{"team": "a"}, Provenance: "min",
		Form: r.Form(), Isolation: "job-7", Args: map[string]string{"A": "1"},
		Builder: cache.Builder{Kind: "buildkitd", Endpoint: "unix:///b.sock", Version: "v0.30.0"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the record is %+v, want %+v", got, want)
	}
	w.recipe = w.recipe.OfTree("sha256:" + strings.Repeat("1", 64))
	if got := w.arrival().Record(img, res, buildkit.Info{}); got.Tree != w.recipe.Tree {
		t.Errorf("the tree is %q", got.Tree)
	}
}
