package buildkit

import (
	"bytes"
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

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// blobs are a builder's content.
type blobs map[digest.Digest][]byte

func (b blobs) open(_ context.Context, desc ocispecs.Descriptor) (io.ReadCloser, error) {
	body, ok := b[desc.Digest]
	if !ok {
		return nil, errors.New("no such blob")
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

func exportedAs(t *testing.T, d ocispecs.Descriptor) map[string]string {
	t.Helper()
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{exptypes.ExporterImageDescriptorKey: base64.StdEncoding.EncodeToString(
		raw,
	)}
}

func TestParseProvenance(t *testing.T) {
	for entry, want := range map[string]Provenance{
		"provenance": ProvenanceMax, "type=provenance": ProvenanceMax,
		"mode=min,type=provenance": ProvenanceMin, `"type=provenance","mode=max"`: ProvenanceMax,
		"": "", `"`: "", "sbom": "", "type=sbom,generator=x": "", "type=provenance,mode=": "",
		"type=provenance,mode=full": "", "type=provenance,mode=min,builder-id=x": "",
		"type=provenance,version=v1": "", "mode=max": "", "Provenance": "",
		"type=provenance,\n": "", "true": "",
	} {
		got, err := ParseProvenance(entry)
		if got != want || errors.Is(err, git.ErrInvalid) != (want == "") {
			t.Errorf("%q: got %q, %v", entry, got, err)
		}
	}
}

// TestNoStatementNoImage: an image without an attestation fails if one was requested.
func TestNoStatementNoImage(t *testing.T) {
	index := exportedAs(t, ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageIndex})
	manifest := exportedAs(t, ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageManifest})
	for _, c := range []struct {
		requested Provenance
		response  map[string]string
		noLayers  bool
		want      error
	}{
		{"", manifest, true, nil}, {"", nil, false, nil}, {ProvenanceMin, index, false, nil},
		{ProvenanceMax, manifest, false, ErrDelivery}, {ProvenanceMax, nil, false, ErrDelivery},
		{ProvenanceMax, manifest, true, ErrRefused}, {ProvenanceMax, index, true, nil},
	} {
		err := c.requested.check(c.response, c.noLayers)
		if (err == nil) != (c.want == nil) || !errors.Is(err, c.want) {
			t.Errorf("%q, response %v: %v", c.requested, c.response, err)
		}
	}
}

func TestExportedIndex(t *testing.T) {
	blobs := blobs{}
	put := func(mediaType string, v any) ocispecs.Descriptor {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		desc := ocispecs.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(body),
			Size: int64(len(body))}
		blobs[desc.Digest] = body
		return desc
	}
	config := put(ocispecs.MediaTypeImageConfig, "config")
	image := put(ocispecs.MediaTypeImageManifest, ocispecs.Manifest{Config: config})
	statement := put("application/vnd.in-toto+json", "statement")
	about := put(ocispecs.MediaTypeImageManifest,
		ocispecs.Manifest{Config: config, Layers: []ocispecs.Descriptor{statement}})
	about.Annotations = map[string]string{
		attestation.DockerAnnotationReferenceType: attestation.DockerAnnotationReferenceTypeDefault,
	}
	root := put(ocispecs.MediaTypeImageIndex,
		ocispecs.Index{Manifests: []ocispecs.Descriptor{image, about}})
	got, err := openFunc(blobs.open).solved(t.Context(), root)
	if err != nil || got.Descriptor.Digest != image.Digest || string(got.Config) != `"config"` {
		t.Fatalf("got %+v, %v", got, err)
	}
	want := []ocispecs.Descriptor{statement, config, about, root}
	for i, part := range got.Around {
		if len(got.Around) != len(want) || part.Digest != want[i].Digest ||
			digest.FromBytes(part.Data) != part.Digest {
			t.Errorf("part %d is %+v", i, part)
		}
	}
	two := put(ocispecs.MediaTypeImageIndex,
		ocispecs.Index{Manifests: []ocispecs.Descriptor{image, image}})
	none := put(ocispecs.MediaTypeImageIndex,
		ocispecs.Index{Manifests: []ocispecs.Descriptor{about}})
	for name, bad := range map[string]ocispecs.Descriptor{"two": two, "none": none} {
		if got, err := openFunc(blobs.open).solved(t.Context(), bad); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	delete(blobs, statement.Digest)
	if got, err := openFunc(blobs.open).solved(t.Context(), root); err == nil {
		t.Errorf("without the statement: got %+v", got)
	}
}

// opening is a sink that opens one layer.
type opening struct{ Sink }

func (opening) Receive(ctx context.Context, image Solved, _ func(int)) (Delivery, error) {
	_, err := image.Open(ctx, ocispecs.Descriptor{})
	return Delivery{}, err
}

// TestNoArchiveOfAnIndex: if layers cannot be read, an image alone goes as an archive, and one with
// an attestation fails.
func TestNoArchiveOfAnIndex(t *testing.T) {
	for subject, want := range map[string]bool{"": false, "molecule-local/x:1": true} {
		config := digest.FromString("{}")
		manifest := `{"config":{"digest":"` + config.String() + `"}}`
		documents := blobs{config: []byte("{}"), digest.FromString(manifest): []byte(manifest)}
		response := exportedAs(t, ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageManifest,
			Digest: digest.FromString(manifest)})
		for name, c := range map[string]struct {
			blobs    blobs
			response map[string]string
		}{"no layer": {documents, response}, "no document": {blobs{}, response},
			"no descriptor": {documents, nil}} {
			x := layersExporter{subject: subject, open: c.blobs.open}
			entry, deliver := x.begin(t.Context(), "x:1", opening{})
			_, err := deliver(c.response, nil)
			if !errors.Is(err, errUnreadable) || errors.Is(err, errNoArchive) != want ||
				entry.Attrs["name"] != subject {
				t.Errorf("%q, %s: %v, exported with %v", subject, name, err, entry.Attrs)
			}
		}
	}
}
