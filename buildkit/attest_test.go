package buildkit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/util/attestation"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

func exportedAs(t *testing.T, d ocispecs.Descriptor) map[string]string {
	t.Helper()
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{exptypes.ExporterImageDescriptorKey: base64.StdEncoding.EncodeToString(raw)}
}

// TestNoStatementNoImage: a builder that knows nothing of attestations must not pass for one that made one.
func TestNoStatementNoImage(t *testing.T) {
	index := exportedAs(t, ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageIndex})
	manifest := exportedAs(t, ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageManifest})
	for _, c := range []struct {
		asked Provenance
		told  map[string]string
		good  bool
	}{
		{"", manifest, true}, {"", nil, true}, {ProvenanceMin, index, true}, {ProvenanceMax, manifest, false}, {ProvenanceMax, nil, false},
	} {
		if err := c.asked.check(c.told); (err == nil) != c.good || err != nil && !errors.Is(err, ErrDelivery) {
			t.Errorf("%q, told %v: %v", c.asked, c.told, err)
		}
	}
}

func TestExportedIndex(t *testing.T) {
	d := newDocuments()
	put := func(mediaType string, v any) ocispecs.Descriptor {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		desc := ocispecs.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(body), Size: int64(len(body))}
		d.blobs[desc.Digest] = body
		return desc
	}
	config := put(ocispecs.MediaTypeImageConfig, "config")
	image := put(ocispecs.MediaTypeImageManifest, ocispecs.Manifest{Config: config})
	statement := put("application/vnd.in-toto+json", "statement")
	about := put(ocispecs.MediaTypeImageManifest, ocispecs.Manifest{Config: config, Layers: []ocispecs.Descriptor{statement}})
	about.Annotations = map[string]string{attestation.DockerAnnotationReferenceType: attestation.DockerAnnotationReferenceTypeDefault}
	root := put(ocispecs.MediaTypeImageIndex, ocispecs.Index{Manifests: []ocispecs.Descriptor{image, about}})
	got, err := d.solved(exportedAs(t, root))
	if err != nil || got.Descriptor.Digest != image.Digest || string(got.Config) != `"config"` {
		t.Fatalf("got %+v, %v", got, err)
	}
	want := []ocispecs.Descriptor{statement, config, about, root}
	for i, part := range got.Around {
		if len(got.Around) != len(want) || part.Digest != want[i].Digest || digest.FromBytes(part.Data) != part.Digest {
			t.Errorf("part %d is %+v", i, part)
		}
	}
	two := put(ocispecs.MediaTypeImageIndex, ocispecs.Index{Manifests: []ocispecs.Descriptor{image, image}})
	none := put(ocispecs.MediaTypeImageIndex, ocispecs.Index{Manifests: []ocispecs.Descriptor{about}})
	for name, bad := range map[string]ocispecs.Descriptor{"two": two, "none": none} {
		if got, err := d.solved(exportedAs(t, bad)); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	delete(d.blobs, statement.Digest)
	if got, err := d.solved(exportedAs(t, root)); err == nil {
		t.Errorf("without the statement: got %+v", got)
	}
}

// opening is a sink that wants one layer.
type opening struct{ Sink }

func (opening) Receive(ctx context.Context, image Solved, _ func(int)) (Delivery, error) {
	_, err := image.Open(ctx, ocispecs.Descriptor{})
	return Delivery{}, err
}

// TestNoArchiveOfAnIndex: where layers cannot be read an image alone goes as an archive, and one with a statement not at all.
func TestNoArchiveOfAnIndex(t *testing.T) {
	for subject, want := range map[string]bool{"": false, "molecule-local/x:1": true} {
		x := layersExporter{subject: subject, open: func(context.Context, ocispecs.Descriptor) (io.ReadCloser, error) {
			return nil, errors.New("no content API")
		}}
		entry, deliver := x.begin(t.Context(), "x:1", opening{})
		docs, _ := entry.OutputStore.(*documents)
		config := digest.FromString("{}")
		manifest := `{"config":{"digest":"` + config.String() + `"}}`
		docs.blobs[config], docs.blobs[digest.FromString(manifest)] = []byte("{}"), []byte(manifest)
		_, err := deliver(exportedAs(t, ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageManifest, Digest: digest.FromString(manifest)}), nil)
		if !errors.Is(err, errUnreadable) || errors.Is(err, errNoArchive) != want || entry.Attrs["name"] != subject {
			t.Errorf("%q: %v, exported with %v", subject, err, entry.Attrs)
		}
	}
}
