package imagestore

import (
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Attestations stand in the index beside the image, marked by an annotation (BuildKit,
// docs/attestations/attestation-storage.md).
const (
	referenceType   = "vnd.docker.reference.type"
	attestationType = "attestation-manifest"
)

// errIncomplete: the engine took an image with attestations and lacks a part of it.
var errIncomplete = errors.New("the engine has not kept all parts of the image")

func (s Source) attested() bool { return len(s.Around) > 0 }

// root is what the image is known by: its manifest, or the index.
func (s Source) root() ocispec.Descriptor {
	if s.attested() {
		return s.Around[len(s.Around)-1]
	}
	root := s.Descriptor
	root.Data = s.Manifest
	return root
}

// documents are all blobs but the layers, with their content in Data, each behind what it leads to.
func (p parsed) documents() []ocispec.Descriptor {
	config, manifest := p.manifest.Config, p.Descriptor
	config.Data, manifest.Data = p.Config, p.Manifest
	return append([]ocispec.Descriptor{config, manifest}, p.Around...)
}

// platformToLoad leaves the platform out for an index: engines that go by it keep only what is for
// that platform, and an attestation is for none.
func (l *loading) platformToLoad() string {
	if l.image.attested() {
		return ""
	}
	return l.platform
}

// loaded makes up for it: without a platform a missing part of an index is no error.
func (l *loading) loaded(ctx context.Context) (Image, error) {
	if !l.image.attested() {
		return l.engine.Inspect(ctx, l.ref)
	}
	img, whole, err := l.engine.inspectWhole(ctx, l.ref)
	if err == nil && !whole {
		err = &Error{Op: "load", Origin: OriginDocker, Ref: l.ref, Err: errIncomplete}
	}
	return img, err
}

// attestedImage reads an index of one image and its attestations.
func (l *Layout) attestedImage(d ocispec.Descriptor) (Image, error) {
	var index ocispec.Index
	if err := l.decode(d, &index); err != nil {
		return Image{}, err
	}
	var only ocispec.Descriptor
	extra := d.Size
	for _, m := range index.Manifests {
		if m.Annotations[referenceType] != attestationType {
			if only.Digest != "" {
				return Image{}, fmt.Errorf("%w: %s has several images", errDamaged, d.Digest)
			}
			only = m
			continue
		}
		size, err := l.attestation(m)
		if err != nil {
			return Image{}, err
		}
		extra += size
	}
	if only.Digest == "" {
		return Image{}, fmt.Errorf("%w: %s has no image", errDamaged, d.Digest)
	}
	img, err := l.single(only)
	img.ID, img.Size = d.Digest.String(), img.Size+extra
	return img, err
}

// attestation sees that all of it is there, and tells its size in bytes.
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
