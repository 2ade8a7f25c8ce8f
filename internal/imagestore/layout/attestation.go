package layout

import (
	"fmt"

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
	extra := d.Size
	for _, m := range index.Manifests {
		if m.Annotations[referenceType] != attestationType {
			if only.Digest != "" {
				return imagestore.Image{},
					fmt.Errorf("%w: %s has several images", errDamaged, d.Digest)
			}
			only = m
			continue
		}
		size, err := l.attestation(m)
		if err != nil {
			return imagestore.Image{}, err
		}
		extra += size
	}
	if only.Digest == "" {
		return imagestore.Image{}, fmt.Errorf("%w: %s has no image", errDamaged, d.Digest)
	}
	img, err := l.single(only)
	img.ID, img.Size = d.Digest.String(), img.Size+extra
	return img, err
}

// attestation returns the size of an attestation in bytes, and an error if a part is missing.
func (l *Layout) attestation(d ocispec.Descriptor) (size int64, err error) {
	var manifest ocispec.Manifest
	if err := l.decode(d, &manifest); err != nil {
		return 0, err
	}
	size = d.Size
	for _, part := range append(manifest.Layers, manifest.Config) {
		if _, err := l.document(part); err != nil {
			return 0, err
		}
		size += part.Size
	}
	return size, nil
}
