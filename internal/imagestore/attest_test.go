package imagestore_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// attested is an image with a statement, in an index. What stands in Around is, in this order, the
// statement, its config, their manifest and the index.
func attested(t *testing.T, layers ...string) *layered {
	t.Helper()
	l := newLayered(t, layers...)
	add := func(mediaType string, body []byte) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(body),
			Size: int64(len(body))}
		whole := d
		whole.Data = body
		l.Around = append(l.Around, whole)
		return d
	}
	statement := add("application/vnd.in-toto+json",
		[]byte(`{"made":"`+strings.Join(layers, " ")+`"}`))
	config := add(ocispec.MediaTypeImageConfig, asJSON(t, ocispec.Image{
		Platform: ocispec.Platform{OS: "unknown", Architecture: "unknown"},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{statement.Digest}},
	}))
	about := add(ocispec.MediaTypeImageManifest, asJSON(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{statement},
	}))
	about.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	about.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest",
		"vnd.docker.reference.digest": l.Descriptor.Digest.String()}
	image := l.Descriptor
	image.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
	add(ocispec.MediaTypeImageIndex, asJSON(t, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{image, about},
	}))
	return l
}

// root is what a store knows the image by.
func (l *layered) root() ocispec.Descriptor {
	if len(l.Around) > 0 {
		return l.Around[len(l.Around)-1]
	}
	return l.Descriptor
}

// TestReceiveAttested: pulled by the engine, and loaded into one that cannot reach this process,
// complete either way.
func TestReceiveAttested(t *testing.T) {
	d := partstest.Dockerd(t, parts.Docker29Containerd)
	r := &receiver{Engine: dial(t, d.Host(), nil), host: d.Host(), kind: imagestore.KindContainerd,
		save: true}
	steps := func(t *testing.T, way imagestore.Via, r *receiver) {
		first := attested(t, string(way)+" base", "top")
		if got := r.receive(t, "molecule-local/x:1", first); !got.Full || got.Via != way {
			t.Errorf("first: %+v", got)
		}
		if got := r.receive(t, "molecule-local/x:2", first); got.Sent != 0 || got.Via != "" {
			t.Errorf("unchanged: %+v", got)
		}
		if got := r.receive(t, "molecule-local/x:3",
			attested(t, string(way)+" base", "other top")); got.Sent != 1 || got.Reused != 1 ||
			got.Via != way {
			t.Errorf("changed top: %+v", got)
		}
	}
	t.Run("pull", func(t *testing.T) { steps(t, imagestore.ViaPull, r) })
	t.Run("load", func(t *testing.T) {
		far := outOfReach(t, d)
		steps(t, imagestore.ViaLoad, far)
		lie := attested(t, "never", "seen")
		far.given[0].Layers = append(far.given[0].Layers, lie.digests[0])
		if got := far.receive(t, "molecule-local/x:lie", lie); !got.Full || got.Sent != 2 {
			t.Errorf("after a lie: %+v", got)
		}
	})
}

func TestLayoutAttested(t *testing.T) {
	f := openLayout(t, t.TempDir())
	l := attested(t, "base", "top")
	f.receive(t, "molecule-local/x:1", l)
	img, err := f.Inspect(t.Context(), l.root().Digest.String())
	size := l.Descriptor.Size + int64(len(l.Config))
	for _, d := range l.Around {
		size += d.Size
	}
	for _, body := range l.layers {
		size += int64(len(body))
	}
	if err != nil || img.Platform != "linux/amd64" || img.Size != size || len(img.Tags) != 1 {
		t.Errorf("it is %+v, %v; want %d bytes", img, err, size)
	}
	if err := f.Tag(t.Context(), img.ID, "molecule-local/x:2"); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"molecule-local/x:1", "molecule-local/x:2"} {
		f.want(t, ref, l)
		if err := f.Untag(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if left := f.blobs(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	f.clean(t)
}

// TestFault37_LayoutAttestationDamaged: without its statement, whole, the image is another one than
// was recorded.
func TestFault37_LayoutAttestationDamaged(t *testing.T) {
	for i, part := range []string{"statement", "config", "manifest", "index"} {
		for name, damage := range map[string]func(*testing.T, string){"missing": remove,
			"truncated": truncate, "changed": spoil} {
			t.Run(part+" "+name, func(t *testing.T) {
				f := openLayout(t, t.TempDir())
				l := attested(t, "base")
				f.receive(t, "molecule-local/x:1", l)
				damage(t, f.blob(l.Around[i].Digest))
				f.wantGone(t, "molecule-local/x:1", l.root().Digest.String())
				f.receive(t, "molecule-local/x:1", l)
			})
		}
	}
}

// TestLayoutSeveralImages: an index of two images is not one, and neither is one of statements
// alone.
func TestLayoutSeveralImages(t *testing.T) {
	for name, change := range map[string]func(*ocispec.Index){
		"several": func(x *ocispec.Index) { x.Manifests = append(x.Manifests, x.Manifests[0]) },
		"no":      func(x *ocispec.Index) { x.Manifests = x.Manifests[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			f := openLayout(t, filepath.Join(t.TempDir(), "images"))
			l := attested(t, "base")
			var index ocispec.Index
			if err := json.Unmarshal(l.root().Data, &index); err != nil {
				t.Fatal(err)
			}
			change(&index)
			root := &l.Around[len(l.Around)-1]
			root.Data = asJSON(t, index)
			root.Digest, root.Size = digest.FromBytes(root.Data), int64(len(root.Data))
			_, err := f.Receive(t.Context(), "molecule-local/x:1", "linux/amd64", l.Source, nil,
				func(int) {})
			if err == nil || !strings.Contains(err.Error(), "has "+name+" image") {
				t.Errorf("error is %v", err)
			}
			f.wantGone(t, "molecule-local/x:1")
		})
	}
}
