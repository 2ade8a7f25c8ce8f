package imagestore_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
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
	// opened counts the reads of each layer.
	opened map[digest.Digest]int
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
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, RootFS: ocispec.RootFS{Type: "layers"}}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for _, layer := range layers {
		d := digest.FromBytes(layer)
		l.layers[d] = layer
		l.digests = append(l.digests, d.String())
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d)
		config.History = append(config.History, ocispec.History{CreatedBy: "test"})
		manifest.Layers = append(manifest.Layers, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: d, Size: int64(len(layer))})
	}
	l.Config = asJSON(t, config)
	manifest.Config = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(l.Config), Size: int64(len(l.Config))}
	l.Manifest = asJSON(t, manifest)
	l.Descriptor = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(l.Manifest), Size: int64(len(l.Manifest))}
	l.Open = func(_ context.Context, layer ocispec.Descriptor) (io.ReadCloser, error) {
		l.opened[layer.Digest]++
		return io.NopCloser(bytes.NewReader(l.layers[layer.Digest])), nil
	}
	return l
}

func tarOf(t *testing.T, name string, body []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body))}); err != nil {
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
		return l.Descriptor.Digest.String()
	}
	return digest.FromBytes(l.Config).String()
}

// receiver is an engine that remembers what it was given, as the records do.
type receiver struct {
	*imagestore.Engine
	host  string
	kind  imagestore.Kind
	given []imagestore.Given
}

func (r *receiver) receive(t *testing.T, ref string, l *layered) imagestore.Received {
	t.Helper()
	var told int64
	got, err := r.Receive(t.Context(), r.kind, ref, "linux/amd64", l.Source, r.given, func(n int) { told += int64(n) })
	if err != nil {
		t.Fatal(err)
	}
	img, err := r.Inspect(t.Context(), ref)
	if err != nil || img.ID != l.id(r.kind) {
		t.Fatalf("%s is %+v, %v", ref, img, err)
	}
	if got.Reason == "" && told != got.Bytes {
		t.Errorf("progress told of %d bytes, the receipt of %d", told, got.Bytes)
	}
	r.given = append(r.given, imagestore.Given{ID: img.ID, Layers: l.digests})
	r.saved(t, ref, l)
	return got
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
		if base := path.Base(h.Name); h.Typeflag == tar.TypeReg && (path.Dir(h.Name) == "blobs/sha256" || base == "layer.tar") {
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
}

func TestReceive(t *testing.T) {
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			d := partstest.Dockerd(t, flavour)
			r := &receiver{Engine: dial(t, d.Host(), nil), host: d.Host(), kind: kindOf(flavour)}
			first := newLayered(t, "base", "middle", "top")

			if got := r.receive(t, "molecule-local/x:1", first); !got.Full || got.Sent != 3 || got.Reused != 0 {
				t.Errorf("first: %+v", got)
			}
			if got := r.receive(t, "molecule-local/x:2", first); got.Bytes != 0 || got.Sent != 0 || got.Reused != 3 {
				t.Errorf("unchanged: %+v", got)
			}
			second := newLayered(t, "base", "middle", "other top")
			got := r.receive(t, "molecule-local/x:3", second)
			top := digest.Digest(second.digests[2])
			if got.Sent != 1 || got.Reused != 2 || got.Full || got.Bytes != int64(len(second.layers[top])) || len(second.opened) != 1 {
				t.Errorf("changed top: %+v, opened %v", got, second.opened)
			}
			t.Run("fault 40", func(t *testing.T) { r.testLiar(t) })
			t.Run("source breaks", func(t *testing.T) { r.testBrokenSource(t) })
		})
	}
}

// testLiar has the records claim layers that the store does not have.
func (r *receiver) testLiar(t *testing.T) {
	if r.kind == imagestore.KindClassic {
		t.Skip("the classic store is asked for its layers, so nobody can be wrong about them")
	}
	lie := newLayered(t, "never", "seen", "before")
	r.given[0].Layers = append(r.given[0].Layers, lie.digests[:2]...)
	if got := r.receive(t, "molecule-local/x:lie", lie); !got.Full || got.Sent != 3 || got.Reason == "" {
		t.Errorf("%+v", got)
	}
}

// testBrokenSource has the builder fail in the middle of a layer: an error, once, and no name left.
func (r *receiver) testBrokenSource(t *testing.T) {
	l := newLayered(t, "base", "middle", "broken")
	gone := errors.New("the builder is gone")
	opens := 0
	l.Open = func(_ context.Context, layer ocispec.Descriptor) (io.ReadCloser, error) {
		opens++
		half := l.layers[layer.Digest][:600]
		return io.NopCloser(io.MultiReader(bytes.NewReader(half), errorReader{gone})), nil
	}
	_, err := r.Receive(t.Context(), r.kind, "molecule-local/x:broken", "linux/amd64", l.Source, r.given, func(int) {})
	if !errors.Is(err, gone) || opens != 1 {
		t.Errorf("error is %v after %d reads", err, opens)
	}
	if _, err := r.Inspect(t.Context(), "molecule-local/x:broken"); !errors.Is(err, imagestore.ErrNotFound) {
		t.Errorf("a name is left: %v", err)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }
