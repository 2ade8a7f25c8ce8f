package storetest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"path"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Spec describes an image of one layer with one file in it.
type Spec struct {
	Tag          string            // the name that the archive gives it; "" for none
	Labels       map[string]string // of the config
	Content      string            // the file's; different content, different image
	Architecture string            // "" is amd64
	Variant      string
	WithoutLayer bool // leaves the layer out, as a broken or a partial archive does
}

// Archive is an image as files: an OCI layout with the manifest.json of
// `docker save` beside it, so that engines of all ages load it.
type Archive struct {
	Tar            []byte
	ConfigDigest   digest.Digest
	ManifestDigest digest.Digest
	Manifest       []byte
	Config         []byte
	Layer          []byte // uncompressed tar
}

// Created is the creation time in every config that Build makes.
var Created = time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)

// ID is what a store of this kind calls the image.
func (a Archive) ID(kind imagestore.Kind) string {
	if kind == imagestore.KindClassic {
		return a.ConfigDigest.String()
	}
	return a.ManifestDigest.String()
}

// Build makes the archive of a spec.
func Build(spec Spec) Archive {
	layer := packFiles(file{"content.txt", []byte(spec.Content)})
	config := must(json.Marshal(configOf(spec, layer)))
	manifest := must(json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    describe(ocispec.MediaTypeImageConfig, config),
		Layers:    []ocispec.Descriptor{describe(ocispec.MediaTypeImageLayer, layer)},
	}))
	a := Archive{Config: config, ConfigDigest: digest.FromBytes(config), Manifest: manifest,
		ManifestDigest: digest.FromBytes(manifest), Layer: layer}
	files := []file{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", indexOf(spec, manifest)},
		{"manifest.json", dockerManifest(spec, a)},
		blob(config), blob(manifest),
	}
	if !spec.WithoutLayer {
		files = append(files, blob(layer))
	}
	a.Tar = packFiles(files...)
	return a
}

func configOf(spec Spec, layer []byte) ocispec.Image {
	arch := spec.Architecture
	if arch == "" {
		arch = "amd64"
	}
	created := Created
	return ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{OS: "linux", Architecture: arch, Variant: spec.Variant},
		Config:   ocispec.ImageConfig{Labels: spec.Labels, Cmd: []string{"/content.txt"}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
	}
}

func indexOf(spec Spec, manifest []byte) []byte {
	desc := describe(ocispec.MediaTypeImageManifest, manifest)
	if spec.Tag != "" {
		named := must(reference.ParseNormalizedNamed(spec.Tag)).(reference.NamedTagged)
		desc.Annotations = map[string]string{
			"io.containerd.image.name": named.String(), // containerd's own, with the whole name
			ocispec.AnnotationRefName:  named.Tag(),
		}
	}
	return must(json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{desc},
	}))
}

// dockerEntry is one image in the manifest.json of `docker save`.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func dockerManifest(spec Spec, a Archive) []byte {
	entry := dockerEntry{Config: blob(a.Config).name, Layers: []string{blob(a.Layer).name}}
	if spec.Tag != "" {
		entry.RepoTags = []string{spec.Tag}
	}
	return must(json.Marshal([]dockerEntry{entry}))
}

func describe(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data),
		Size: int64(len(data))}
}

type file struct {
	name string
	data []byte
}

func blob(data []byte) file {
	return file{path.Join("blobs", strings.Replace(digest.FromBytes(data).String(), ":", "/", 1)),
		data}
}

func packFiles(files ...file) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		must(0, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)),
			Format: tar.FormatUSTAR}))
		must(w.Write(f.data))
	}
	must(0, w.Close())
	return buf.Bytes()
}

// must is for what cannot fail on values that this package makes itself.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
