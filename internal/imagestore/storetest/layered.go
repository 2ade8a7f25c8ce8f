package storetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Layered is an image outside a store. It counts the reads of its layers.
type Layered struct {
	buildkit.Solved
	Layers  map[digest.Digest][]byte
	Digests []string // of the layers, in order

	mu      sync.Mutex
	opened  map[digest.Digest]int
	reading int
}

// NewLayered is an image with a layer for each body, which holds one file with that body.
func NewLayered(t testing.TB, bodies ...string) *Layered {
	t.Helper()
	var layers [][]byte
	for i, body := range bodies {
		layers = append(layers, TarOf(t, string(rune('a'+i)), []byte(body)))
	}
	return LayeredOf(t, layers...)
}

// LayeredOf is an image of these layers, each a tar file.
func LayeredOf(t testing.TB, layers ...[]byte) *Layered {
	t.Helper()
	l := &Layered{Layers: map[digest.Digest][]byte{}, opened: map[digest.Digest]int{}}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS: ocispec.RootFS{Type: "layers"}}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest}
	for _, layer := range layers {
		d := digest.FromBytes(layer)
		l.Layers[d] = layer
		l.Digests = append(l.Digests, d.String())
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d)
		config.History = append(config.History, ocispec.History{CreatedBy: "test"})
		manifest.Layers = append(manifest.Layers, describe(ocispec.MediaTypeImageLayer, layer))
	}
	l.Config = JSON(t, config)
	manifest.Config = describe(ocispec.MediaTypeImageConfig, l.Config)
	l.Manifest = JSON(t, manifest)
	l.Descriptor = describe(ocispec.MediaTypeImageManifest, l.Manifest)
	l.Open = func(_ context.Context, layer ocispec.Descriptor) (io.ReadCloser, error) {
		return l.Reader(layer.Digest, bytes.NewReader(l.Layers[layer.Digest])), nil
	}
	return l
}

// Attested is an image with a statement, in an index. Around holds, in this order, the statement,
// its config, their manifest and the index.
func Attested(t testing.TB, layers ...string) *Layered {
	t.Helper()
	l := NewLayered(t, layers...)
	add := func(mediaType string, body []byte) ocispec.Descriptor {
		d := describe(mediaType, body)
		whole := d
		whole.Data = body
		l.Around = append(l.Around, whole)
		return d
	}
	statement := add("application/vnd.in-toto+json",
		[]byte(`{"made":"`+strings.Join(layers, " ")+`"}`))
	config := add(ocispec.MediaTypeImageConfig, JSON(t, ocispec.Image{
		Platform: ocispec.Platform{OS: "unknown", Architecture: "unknown"},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{statement.Digest}},
	}))
	about := add(ocispec.MediaTypeImageManifest, JSON(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{statement},
	}))
	about.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	about.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest",
		"vnd.docker.reference.digest": l.Descriptor.Digest.String()}
	image := l.Descriptor
	image.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
	add(ocispec.MediaTypeImageIndex, JSON(t, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{image, about},
	}))
	return l
}

// Zip compresses the layers.
func (l *Layered) Zip(t testing.TB) *Layered {
	t.Helper()
	var manifest ocispec.Manifest
	if err := json.Unmarshal(l.Manifest, &manifest); err != nil {
		t.Fatal(err)
	}
	packed := map[digest.Digest][]byte{}
	for i, layer := range manifest.Layers {
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		if _, err := w.Write(l.Layers[layer.Digest]); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		d := describe(ocispec.MediaTypeImageLayerGzip, buf.Bytes())
		packed[d.Digest], l.Digests[i] = buf.Bytes(), d.Digest.String()
		manifest.Layers[i] = d
	}
	l.Layers, l.Manifest = packed, JSON(t, manifest)
	l.Descriptor.Digest, l.Descriptor.Size = digest.FromBytes(l.Manifest), int64(len(l.Manifest))
	return l
}

// Transfer is the image on its way to the name ref.
func (l *Layered) Transfer(ref string) imagestore.Transfer {
	image := l.Solved
	image.Reference = ref
	return imagestore.Transfer{Image: image, Platform: platform, OnBytes: func(int) {}}
}

// Root is the descriptor that identifies the image in a store that keeps manifests.
func (l *Layered) Root() ocispec.Descriptor {
	if len(l.Around) > 0 {
		return l.Around[len(l.Around)-1]
	}
	return l.Descriptor
}

// ID is what a store of this kind calls the image.
func (l *Layered) ID(k imagestore.Kind) string {
	if k == imagestore.KindClassic {
		return digest.FromBytes(l.Config).String()
	}
	return l.Root().Digest.String()
}

// Opened counts the reads of each layer.
func (l *Layered) Opened() map[digest.Digest]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.opened)
}

// Reading is the number of reads that are under way.
func (l *Layered) Reading() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reading
}

// Reader counts as a read of the layer until it is closed.
func (l *Layered) Reader(d digest.Digest, body io.Reader) io.ReadCloser {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened[d]++
	l.reading++
	return countedReader{body, sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.reading--
	})}
}

type countedReader struct {
	io.Reader
	close func()
}

func (r countedReader) Close() error {
	r.close()
	return nil
}

// TarOf is a tar file with one file in it.
func TarOf(t testing.TB, name string, body []byte) []byte {
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

// JSON encodes a document.
func JSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
