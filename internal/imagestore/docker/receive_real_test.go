package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// receiver is an engine that remembers the images that it received, as the records do.
type receiver struct {
	*docker.Engine
	host    string
	kind    imagestore.Kind
	earlier []imagestore.LayerSet
	save    bool // checks that the store gives the image away again
}

func (r *receiver) transfer(ref string, l *storetest.Layered) imagestore.Transfer {
	transfer := l.Transfer(ref)
	transfer.Earlier = func() []imagestore.LayerSet { return r.earlier }
	return transfer
}

func (r *receiver) receive(t *testing.T, ref string, l *storetest.Layered) imagestore.Result {
	t.Helper()
	var counted int64
	transfer := r.transfer(ref, l)
	transfer.OnBytes = func(n int) { counted += int64(n) }
	got, err := r.Receive(t.Context(), transfer)
	if err != nil {
		t.Fatal(err)
	}
	if got.Image.ID != l.ID(r.kind) || got.Kind != r.kind {
		t.Fatalf("received %+v", got)
	}
	img := r.named(t, ref, got)
	if img.ID != got.Image.ID {
		t.Fatalf("%s is %+v", ref, img)
	}
	if got.Reason == "" && counted != got.Bytes {
		t.Errorf("progress counted %d bytes, the receipt %d", counted, got.Bytes)
	}
	for _, tag := range img.Tags {
		if pulled, ok := docker.CutLoopback(tag); ok {
			t.Errorf("the name that it was pulled by stays: %s, of %s", tag, pulled)
		}
	}
	if l.Reading() != 0 {
		t.Errorf("%d layers are still being read", l.Reading())
	}
	r.earlier = append(r.earlier, imagestore.LayerSet{ImageID: img.ID, Layers: l.Digests})
	if r.save {
		r.saved(t, ref, l)
	}
	return got
}

// named gives the image its name and takes the other one away, as the caller of Receive does.
func (r *receiver) named(t *testing.T, ref string, got imagestore.Result) imagestore.Image {
	t.Helper()
	if err := r.Tag(t.Context(), got.Image.ID, ref); err != nil {
		t.Fatal(err)
	}
	if got.Name != "" && got.Name != ref {
		if err := r.Untag(t.Context(), got.Name); err != nil {
			t.Fatal(err)
		}
	}
	img, err := r.Inspect(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// saved makes sure that the store can give the whole image away again.
func (r *receiver) saved(t *testing.T, ref string, l *storetest.Layered) {
	t.Helper()
	api, err := client.New(client.WithHost(r.host))
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	out, err := api.ImageSave(t.Context(), []string{ref})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	found := map[digest.Digest]bool{}
	for archive := tar.NewReader(out); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if base := path.Base(h.Name); h.Typeflag == tar.TypeReg &&
			(path.Dir(h.Name) == "blobs/sha256" || base == "layer.tar") {
			body, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			found[digest.FromBytes(body)] = true
		}
	}
	for d := range l.Layers {
		if !found[d] {
			t.Errorf("the saved archive of %s lacks layer %s", ref, d)
		}
	}
	for _, d := range l.Around {
		if !found[d.Digest] {
			t.Errorf("the saved archive of %s lacks %s %s", ref, d.MediaType, d.Digest)
		}
	}
}

func TestReceive(t *testing.T) {
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			d := partstest.Dockerd(t, flavour)
			r := &receiver{Engine: dial(t, d.Host(), nil), host: d.Host(), kind: kindOf(flavour),
				save: true}
			way := buildkit.ViaLoad
			if r.kind == imagestore.KindContainerd {
				way = buildkit.ViaPull
			}
			r.testDelta(t, way)
			t.Run("source breaks", func(t *testing.T) { r.testBrokenSource(t) })
			if r.kind != imagestore.KindContainerd {
				// this store lists its layers, so Pinion cannot be wrong about them, and is not
				// asked to pull
				return
			}
			t.Run("unpacked already", func(t *testing.T) { r.testUnpacked(t) })
			t.Run("nothing visible", func(t *testing.T) { r.testNothingVisible(t) })
			t.Run("out of reach", func(t *testing.T) { testOutOfReach(t, d) })
		})
	}
}

// testDelta brings in an image, the same once more, and one with another top.
func (r *receiver) testDelta(t *testing.T, way buildkit.Via) {
	t.Helper()
	first := storetest.NewLayered(t, "base", "middle", "top")
	if got := r.receive(t, "molecule-local/x:1", first); got.Method != buildkit.MethodFull ||
		got.LayersSent != 3 ||
		got.LayersReused != 0 || got.Via != way {
		t.Errorf("first: %+v", got)
	}
	if got := r.receive(t, "molecule-local/x:2", first); got.Bytes != 0 || got.LayersSent != 0 ||
		got.LayersReused != 3 || got.Via != "" {
		t.Errorf("unchanged: %+v", got)
	}
	second := storetest.NewLayered(t, "base", "middle", "other top")
	got := r.receive(t, "molecule-local/x:3", second)
	top := digest.Digest(second.Digests[2])
	if got.LayersSent != 1 || got.LayersReused != 2 || got.Method == buildkit.MethodFull ||
		got.Bytes != int64(len(second.Layers[top])) || len(second.Opened()) != 1 || got.Via != way {
		t.Errorf("changed top: %+v, opened %v", got, second.Opened())
	}
}

// testUnpacked: the engine does not fetch a layer that it has in another compression, and the image
// is complete all the same.
func (r *receiver) testUnpacked(t *testing.T) {
	plain := storetest.NewLayered(t, "packed base", "packed middle", "top of its own")
	zipped := storetest.NewLayered(t, "packed base", "packed middle").Zip(t)
	r.receive(t, "molecule-local/x:zipped", zipped)
	got := r.receive(t, "molecule-local/x:plain", plain)
	if got.Via != buildkit.ViaLoad || got.LayersSent != 3 ||
		!strings.Contains(got.Reason, "unpacked only") ||
		plain.Opened()[digest.Digest(plain.Digests[2])] != 1 {
		t.Errorf("%+v, opened %v", got, plain.Opened())
	}
	if got := r.receive(t, "molecule-local/x:again", plain); got.LayersSent != 0 {
		t.Errorf("again: %+v", got)
	}
}

// testNothingVisible checks that the engine shows the registry's name nowhere.
func (r *receiver) testNothingVisible(t *testing.T) {
	api, err := client.New(client.WithHost(r.host))
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	list, err := api.ImageList(t.Context(), client.ImageListOptions{All: true})
	if err != nil || len(list.Items) == 0 {
		t.Fatal(list, err)
	}
	for _, img := range list.Items {
		for _, name := range slices.Concat(img.RepoTags, img.RepoDigests) {
			if strings.Contains(name, "127.0.0.1") {
				t.Errorf("the image %s is called %s", img.ID, name)
			}
		}
	}
}

// outOfReach sends the engine's pulls to an address without a listener, as for an engine in a VM.
func outOfReach(t *testing.T, d *parts.Dockerd) *receiver {
	t.Helper()
	proxy := partstest.Proxy(t, d.Host())
	proxy.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
		if query := r.URL.Query(); strings.HasSuffix(r.URL.Path, "/images/create") {
			_, name, _ := strings.Cut(query.Get("fromImage"), "/")
			query.Set("fromImage", "127.0.0.1:1/"+name)
			r.URL.RawQuery = query.Encode()
		}
		return false
	})
	return &receiver{Engine: dial(t, proxy.URL(), nil), host: d.Host(),
		kind: imagestore.KindContainerd, save: true}
}

// testOutOfReach: then the records count, and they may be wrong.
func testOutOfReach(t *testing.T, d *parts.Dockerd) {
	r := outOfReach(t, d)
	first := storetest.NewLayered(t, "far base", "far middle", "far top")
	if got := r.receive(t, "molecule-local/far:1", first); got.Method != buildkit.MethodFull ||
		got.Via != buildkit.ViaLoad || !strings.Contains(got.Reason, "connection refused") {
		t.Errorf("first: %+v", got)
	}
	second := storetest.NewLayered(t, "far base", "far middle", "far other top")
	if got := r.receive(t, "molecule-local/far:2", second); got.LayersSent != 1 ||
		got.LayersReused != 2 ||
		got.Via != buildkit.ViaLoad {
		t.Errorf("changed top: %+v", got)
	}
	lie := storetest.NewLayered(t, "never", "seen", "before")
	r.earlier[0].Layers = append(r.earlier[0].Layers, lie.Digests[:2]...)
	if got := r.receive(t, "molecule-local/far:lie", lie); got.Method != buildkit.MethodFull ||
		got.LayersSent != 3 {
		t.Errorf("after a lie: %+v", got)
	}
}

// testBrokenSource has the builder fail in the middle of a layer: an error, once, and no name left.
func (r *receiver) testBrokenSource(t *testing.T) {
	l := storetest.NewLayered(t, "base", "middle", "broken")
	gone := errors.New("the builder is gone")
	l.Open = func(_ context.Context, layer ocispec.Descriptor) (io.ReadCloser, error) {
		half := l.Layers[layer.Digest][:600]
		return l.Reader(layer.Digest, io.MultiReader(bytes.NewReader(half),
			iotest.ErrReader(gone))), nil
	}
	_, err := r.Receive(t.Context(), r.transfer("molecule-local/x:broken", l))
	if !errors.Is(err, gone) || len(l.Opened()) != 1 ||
		l.Opened()[digest.Digest(l.Digests[2])] != 1 {
		t.Errorf("error is %v after %v reads", err, l.Opened())
	}
	wantNoImage(t, r.Engine, l, "molecule-local/x:broken")
}

// wantNoImage checks that neither the name nor the image is left, and that no reader is open.
func wantNoImage(t *testing.T, e *docker.Engine, l *storetest.Layered, ref string) {
	t.Helper()
	for _, name := range []string{ref, l.ID(imagestore.KindContainerd)} {
		if img, err := e.Inspect(t.Context(), name); !errors.Is(err, imagestore.ErrNotFound) {
			t.Errorf("%s is left: %+v, %v", name, img, err)
		}
	}
	if l.Reading() != 0 {
		t.Errorf("%d layers are still being read", l.Reading())
	}
}
