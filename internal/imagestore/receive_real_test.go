package imagestore_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// layered is an image whose layers hold one file each, with the given bodies.
type layered struct {
	imagestore.Source
	layers  map[digest.Digest][]byte
	digests []string
	mu      sync.Mutex
	// opened counts the reads of each layer; open those that are under way.
	opened map[digest.Digest]int
	open   int
}

// reading is a layer that is being read.
type reading struct {
	io.Reader
	close func()
}

func (r reading) Close() error {
	r.close()
	return nil
}

// reader is what Open gives.
func (l *layered) reader(d digest.Digest, body io.Reader) io.ReadCloser {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened[d]++
	l.open++
	return reading{body, sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open--
	})}
}

func newLayered(t *testing.T, bodies ...string) *layered {
	t.Helper()
	var layers [][]byte
	for i, body := range bodies {
		layers = append(layers, tarOf(t, string(rune('a'+i)), []byte(body)))
	}
	return layeredOf(t, layers...)
}

// layeredOf is an image of these layers, each a tar file.
func layeredOf(t *testing.T, layers ...[]byte) *layered {
	t.Helper()
	l := &layered{layers: map[digest.Digest][]byte{}, opened: map[digest.Digest]int{}}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS: ocispec.RootFS{Type: "layers"}}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest}
	for _, layer := range layers {
		d := digest.FromBytes(layer)
		l.layers[d] = layer
		l.digests = append(l.digests, d.String())
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d)
		config.History = append(config.History, ocispec.History{CreatedBy: "test"})
		manifest.Layers = append(manifest.Layers,
			ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: d,
				Size: int64(len(layer))})
	}
	l.Config = asJSON(t, config)
	manifest.Config = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig,
		Digest: digest.FromBytes(l.Config), Size: int64(len(l.Config))}
	l.Manifest = asJSON(t, manifest)
	l.Descriptor = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest,
		Digest: digest.FromBytes(l.Manifest), Size: int64(len(l.Manifest))}
	l.Open = func(_ context.Context, layer ocispec.Descriptor) (io.ReadCloser, error) {
		return l.reader(layer.Digest, bytes.NewReader(l.layers[layer.Digest])), nil
	}
	return l
}

// zipped is the same image with its layers compressed.
func (l *layered) zipped(t *testing.T) *layered {
	t.Helper()
	var manifest ocispec.Manifest
	if err := json.Unmarshal(l.Manifest, &manifest); err != nil {
		t.Fatal(err)
	}
	packed := map[digest.Digest][]byte{}
	for i, layer := range manifest.Layers {
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		if _, err := w.Write(l.layers[layer.Digest]); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		d := digest.FromBytes(buf.Bytes())
		packed[d], l.digests[i] = buf.Bytes(), d.String()
		manifest.Layers[i] = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip,
			Digest: d, Size: int64(buf.Len())}
	}
	l.layers, l.Manifest = packed, asJSON(t, manifest)
	l.Descriptor.Digest, l.Descriptor.Size = digest.FromBytes(l.Manifest), int64(len(l.Manifest))
	return l
}

func tarOf(t *testing.T, name string, body []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644,
		Size: int64(len(body))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// id is what the engine must call the image.
func (l *layered) id(k imagestore.Kind) string {
	if k == imagestore.KindContainerd {
		return l.root().Digest.String()
	}
	return digest.FromBytes(l.Config).String()
}

// receiver is an engine that remembers what it was given, as the records do.
type receiver struct {
	*imagestore.Engine
	host  string
	kind  imagestore.Kind
	given []imagestore.Given
	save  bool // checks that the store gives the image away again
}

func (r *receiver) receive(t *testing.T, ref string, l *layered) imagestore.Received {
	t.Helper()
	var told int64
	got, err := r.Receive(t.Context(), ref, "linux/amd64", l.Source, r.given, func(n int) {
		told += int64(n)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Image.ID != l.id(r.kind) || got.Kind != r.kind {
		t.Fatalf("received %+v", got)
	}
	img := r.named(t, ref, got)
	if img.ID != got.Image.ID {
		t.Fatalf("%s is %+v", ref, img)
	}
	if got.Reason == "" && told != got.Bytes {
		t.Errorf("progress told of %d bytes, the receipt of %d", told, got.Bytes)
	}
	for _, tag := range img.Tags {
		if pulled, ok := imagestore.CutLoopback(tag); ok {
			t.Errorf("the name that it was pulled by stays: %s, of %s", tag, pulled)
		}
	}
	if l.open != 0 {
		t.Errorf("%d layers are still being read", l.open)
	}
	r.given = append(r.given, imagestore.Given{ID: img.ID, Layers: l.digests})
	if r.save {
		r.saved(t, ref, l)
	}
	return got
}

// named gives the image its name and takes the other one away, as the caller of Receive does.
func (r *receiver) named(t *testing.T, ref string, got imagestore.Received) imagestore.Image {
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
func (r *receiver) saved(t *testing.T, ref string, l *layered) {
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
	for d := range l.layers {
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
			way := imagestore.ViaLoad
			if r.kind == imagestore.KindContainerd {
				way = imagestore.ViaPull
			}
			r.testDelta(t, way)
			t.Run("source breaks", func(t *testing.T) { r.testBrokenSource(t) })
			if r.kind != imagestore.KindContainerd {
				// it is asked for its layers, so nobody can be wrong about them, and it is not
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
func (r *receiver) testDelta(t *testing.T, way imagestore.Via) {
	t.Helper()
	first := newLayered(t, "base", "middle", "top")
	if got := r.receive(t, "molecule-local/x:1", first); !got.Full || got.Sent != 3 ||
		got.Reused != 0 || got.Via != way {
		t.Errorf("first: %+v", got)
	}
	if got := r.receive(t, "molecule-local/x:2", first); got.Bytes != 0 || got.Sent != 0 ||
		got.Reused != 3 || got.Via != "" {
		t.Errorf("unchanged: %+v", got)
	}
	second := newLayered(t, "base", "middle", "other top")
	got := r.receive(t, "molecule-local/x:3", second)
	top := digest.Digest(second.digests[2])
	if got.Sent != 1 || got.Reused != 2 || got.Full ||
		got.Bytes != int64(len(second.layers[top])) || len(second.opened) != 1 || got.Via != way {
		t.Errorf("changed top: %+v, opened %v", got, second.opened)
	}
}

// testUnpacked: of a layer that is there in another packing the engine does not fetch this one, and
// the image has to be whole all the same.
func (r *receiver) testUnpacked(t *testing.T) {
	plain := newLayered(t, "packed base", "packed middle", "top of its own")
	zipped := newLayered(t, "packed base", "packed middle").zipped(t)
	r.receive(t, "molecule-local/x:zipped", zipped)
	got := r.receive(t, "molecule-local/x:plain", plain)
	if got.Via != imagestore.ViaLoad || got.Sent != 3 ||
		!strings.Contains(got.Reason, "unpacked only") ||
		plain.opened[digest.Digest(plain.digests[2])] != 1 {
		t.Errorf("%+v, opened %v", got, plain.opened)
	}
	if got := r.receive(t, "molecule-local/x:again", plain); got.Sent != 0 {
		t.Errorf("again: %+v", got)
	}
}

// testNothingVisible looks for the registry's name wherever the engine shows names.
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

// outOfReach sends the engine's pulls to where nobody listens, as for an engine in a VM.
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
	first := newLayered(t, "far base", "far middle", "far top")
	if got := r.receive(t, "molecule-local/far:1", first); !got.Full ||
		got.Via != imagestore.ViaLoad || !strings.Contains(got.Reason, "connection refused") {
		t.Errorf("first: %+v", got)
	}
	second := newLayered(t, "far base", "far middle", "far other top")
	if got := r.receive(t, "molecule-local/far:2", second); got.Sent != 1 || got.Reused != 2 ||
		got.Via != imagestore.ViaLoad {
		t.Errorf("changed top: %+v", got)
	}
	lie := newLayered(t, "never", "seen", "before")
	r.given[0].Layers = append(r.given[0].Layers, lie.digests[:2]...)
	if got := r.receive(t, "molecule-local/far:lie", lie); !got.Full || got.Sent != 3 {
		t.Errorf("after a lie: %+v", got)
	}
}

// testBrokenSource has the builder fail in the middle of a layer: an error, once, and no name left.
func (r *receiver) testBrokenSource(t *testing.T) {
	l := newLayered(t, "base", "middle", "broken")
	gone := errors.New("the builder is gone")
	l.Open = func(_ context.Context, layer ocispec.Descriptor) (io.ReadCloser, error) {
		half := l.layers[layer.Digest][:600]
		return l.reader(layer.Digest, io.MultiReader(bytes.NewReader(half), errorReader{gone})), nil
	}
	_, err := r.Receive(t.Context(), "molecule-local/x:broken", "linux/amd64", l.Source, r.given,
		func(int) {})
	if !errors.Is(err, gone) || len(l.opened) != 1 || l.opened[digest.Digest(l.digests[2])] != 1 {
		t.Errorf("error is %v after %v reads", err, l.opened)
	}
	wantNoImage(t, r.Engine, l, "molecule-local/x:broken")
}

// wantNoImage wants neither a name nor the image left, and nothing being read.
func wantNoImage(t *testing.T, e *imagestore.Engine, l *layered, ref string) {
	t.Helper()
	for _, name := range []string{ref, l.id(imagestore.KindContainerd)} {
		if img, err := e.Inspect(t.Context(), name); !errors.Is(err, imagestore.ErrNotFound) {
			t.Errorf("%s is left: %+v, %v", name, img, err)
		}
	}
	if l.open != 0 {
		t.Errorf("%d layers are still being read", l.open)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }
