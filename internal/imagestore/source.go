package imagestore

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

// Source is an image outside the store with its documents parsed.
type Source struct {
	buildkit.Solved
	Parsed  ocispec.Manifest
	DiffIDs []digest.Digest // one for each layer of the manifest
}

// NewSource parses the documents of an image.
func NewSource(image buildkit.Solved) (Source, error) {
	s := Source{Solved: image}
	var config ocispec.Image
	if err := json.Unmarshal(image.Manifest, &s.Parsed); err != nil {
		return s, fmt.Errorf("manifest: %w", err)
	}
	if err := json.Unmarshal(image.Config, &config); err != nil {
		return s, fmt.Errorf("config: %w", err)
	}
	s.DiffIDs = config.RootFS.DiffIDs
	if len(s.DiffIDs) != len(s.Parsed.Layers) {
		return s, fmt.Errorf("%d layers in the manifest and %d in the config",
			len(s.Parsed.Layers), len(s.DiffIDs))
	}
	return s, nil
}

// Attested reports whether the image has attestations, so that its root is an index.
func (s Source) Attested() bool { return len(s.Around) > 0 }

// Root is the document that identifies the image, with its content in Data: the manifest, or the
// index of image and attestations.
func (s Source) Root() ocispec.Descriptor {
	if s.Attested() {
		return s.Around[len(s.Around)-1]
	}
	root := s.Descriptor
	root.Data = s.Manifest
	return root
}

// Documents are all blobs except for the layers, with their content in Data. A document comes after
// the blobs that it refers to.
func (s Source) Documents() []ocispec.Descriptor {
	config, manifest := s.Parsed.Config, s.Descriptor
	config.Data, manifest.Data = s.Config, s.Manifest
	return append([]ocispec.Descriptor{config, manifest}, s.Around...)
}

// Layers are the manifest's layers, each once.
func (s Source) Layers() []ocispec.Descriptor {
	seen := map[digest.Digest]bool{}
	return slices.DeleteFunc(slices.Clone(s.Parsed.Layers), func(l ocispec.Descriptor) bool {
		again := seen[l.Digest]
		seen[l.Digest] = true
		return again
	})
}

// ID is the image's ID in a store of that kind.
func (s Source) ID(k Kind) string {
	if k == KindClassic {
		return s.Parsed.Config.Digest.String()
	}
	return s.Root().Digest.String()
}

// BlobPath is the path of a blob in an OCI image layout (image-spec, image-layout.md).
func BlobPath(d digest.Digest) string {
	return ocispec.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

// Bare is a descriptor without annotations and embedded content.
func Bare(d ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size,
		Platform: d.Platform}
}
