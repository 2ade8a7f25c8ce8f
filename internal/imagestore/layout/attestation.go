package layout

import (
	"fmt"
	"maps"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Attestations stand in the index beside the image, marked by an annotation (BuildKit,
// docs/attestations/attestation-storage.md).
const (
	referenceType   = "vnd.docker.reference.type"
	attestationType = "attestation-manifest"
)

// attested describes an index of one image and its attestations.
func (l *Layout) attested(d ocispec.Descriptor) (imagestore.Image, error) {
	var index ocispec.Index
	if err := l.decode(d, &index); err != nil {
		return imagestore.Image{}, err
	}
	var only ocispec.Descriptor
	parts := map[string]int64{d.Digest.String(): d.Size}
	for _, m := range index.Manifests {
		if m.Annotations[referenceType] != attestationType {
			if only.Digest != "" {
				return imagestore.Image{},
					fmt.Errorf("%w: %s has several images", errDamaged, d.Digest)
			}
			only = m
			continue
		}
		if err := l.attestation(m, parts); err != nil {
			return imagestore.Image{}, err
		}
	}
	if only.Digest == "" {
		return imagestore.Image{}, fmt.Errorf("%w: %s has no image", errDamaged, d.Digest)
	}
	img, err := l.single(only)
	maps.Copy(parts, img.Parts)
	img.ID, img.Parts, img.Size = d.Digest.String(), parts, sum(parts)
	return img, err
}

// attestation adds the sizes of an attestation's parts. It is an error if one is missing.
func (l *Layout) attestation(d ocispec.Descriptor, parts map[string]int64) error {
	var manifest ocispec.Manifest
	if err := l.decode(d, &manifest); err != nil {
		return err
	}
	parts[d.Digest.String()] = d.Size
	for _, part := range append(manifest.Layers, manifest.Config) {
		if _, err := l.document(part); err != nil {
			return err
		}
		parts[part.Digest.String()] = part.Size
	}
	return nil
}
