package layout

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// The media types of Docker for a manifest and an index.
const (
	dockerManifestType = "application/vnd.docker.distribution.manifest.v2+json"
	dockerListType     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// Inspect describes the image of a name or an ID. An image with a missing or damaged blob is
// ErrNotFound, since it must be built again. A multi-platform index is ErrNotFound too, since it is
// not one image. If the disk fails, the image may exist: it is ErrUnreadable with the disk's error.
// Errors are *imagestore.Error.
func (l *Layout) Inspect(_ context.Context, ref string) (imagestore.Image, error) {
	x, err := l.index()
	if err != nil {
		return imagestore.Image{}, l.fail("inspect", ref, err)
	}
	e, ok := x.find(ref)
	if !ok {
		return imagestore.Image{}, l.fail("inspect", ref, imagestore.ErrNotFound)
	}
	img, err := l.image(e.Descriptor)
	if errors.Is(err, errDamaged) {
		return img, l.fail("inspect", ref, fmt.Errorf("%w: the image is %w",
			imagestore.ErrNotFound, err))
	}
	if err != nil {
		return img, l.fail("inspect", ref, fmt.Errorf("%w: %w", imagestore.ErrUnreadable, err))
	}
	img.Tags = x.names(e.Digest)
	return img, nil
}

// InspectPlatform is Inspect. The caller compares Image.Platform.
func (l *Layout) InspectPlatform(ctx context.Context, ref, _ string) (imagestore.Image, error) {
	return l.Inspect(ctx, ref)
}

// List describes the images that have a label, with any value, or all images for "". It leaves out
// damaged images, and those that it cannot read; the error of the first of these is returned if no
// image is left.
// Errors are *imagestore.Error.
func (l *Layout) List(_ context.Context, labelKey string) ([]imagestore.Image, error) {
	x, err := l.index()
	if err != nil {
		return nil, l.fail("list", "", err)
	}
	images := []imagestore.Image{}
	seen := map[digest.Digest]bool{}
	var unreadable error
	for _, e := range x.entries {
		if seen[e.Digest] {
			continue
		}
		seen[e.Digest] = true
		img, err := l.image(e.Descriptor)
		if err != nil && !errors.Is(err, errDamaged) {
			unreadable = cmp.Or(unreadable, err)
		}
		if _, ok := img.Labels[labelKey]; (ok || labelKey == "") && err == nil {
			img.Tags = x.names(e.Digest)
			images = append(images, img)
		}
	}
	if unreadable != nil && len(images) == 0 {
		return nil, l.fail("list", "", unreadable)
	}
	return images, nil
}

// image describes the image of an entry of the index, which may have attestations. The error is
// errDamaged or the disk's.
func (l *Layout) image(d ocispec.Descriptor) (imagestore.Image, error) {
	if d.MediaType == ocispec.MediaTypeImageIndex {
		return l.attested(d)
	}
	return l.single(d)
}

// single reads manifest and config, and checks that the layers are there.
func (l *Layout) single(d ocispec.Descriptor) (imagestore.Image, error) {
	if d.MediaType != ocispec.MediaTypeImageManifest && d.MediaType != dockerManifestType {
		return imagestore.Image{}, fmt.Errorf("%w: %s is of type %q and no single image",
			errDamaged, d.Digest,
			d.MediaType)
	}
	var manifest ocispec.Manifest
	if err := l.decode(d, &manifest); err != nil {
		return imagestore.Image{}, err
	}
	var config ocispec.Image
	if err := l.decode(manifest.Config, &config); err != nil {
		return imagestore.Image{}, err
	}
	parts := map[string]int64{d.Digest.String(): d.Size,
		manifest.Config.Digest.String(): manifest.Config.Size}
	for _, layer := range manifest.Layers {
		if err := l.hasBlob(layer); err != nil {
			return imagestore.Image{}, err
		}
		parts[layer.Digest.String()] = layer.Size
	}
	img := imagestore.Image{
		ID:       d.Digest.String(),
		Labels:   config.Config.Labels,
		Platform: imagestore.FormatPlatform(config.OS, config.Architecture, config.Variant),
	}
	img.Parts, img.Size = parts, sum(parts)
	if config.Created != nil {
		img.Created = *config.Created
	}
	return img, nil
}

func sum(parts map[string]int64) (size int64) {
	for n := range maps.Values(parts) {
		size += n
	}
	return size
}

func (l *Layout) decode(d ocispec.Descriptor, to any) error {
	body, err := l.document(d)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("%w: blob %s: %w", errDamaged, d.Digest, err)
	}
	return nil
}

// Tag makes ref name the image with this ID, and replaces an earlier meaning. Errors are
// *imagestore.Error, ErrNotFound among them.
func (l *Layout) Tag(ctx context.Context, id, ref string) error {
	if _, err := digest.Parse(id); err != nil {
		return l.fail("tag", ref, fmt.Errorf("image ID %q: %w", id, err))
	}
	err := l.update(ctx, func(x *indexFile) error {
		e, ok := x.find(id)
		if !ok {
			return imagestore.ErrNotFound
		}
		return x.put(ref, e.Descriptor)
	})
	if err != nil {
		return l.fail("tag", ref, err)
	}
	l.sweep()
	return nil
}

// Untag removes one name. With an image's last name it removes the image's blobs, except for those
// that another entry of the index leads to. It also works on a full disk. Errors are
// *imagestore.Error, ErrNotFound among them.
func (l *Layout) Untag(ctx context.Context, ref string) error {
	if _, err := parseTagged(ref); err != nil {
		return l.fail("untag", ref, err)
	}
	untag := func() error {
		return l.update(ctx, func(x *indexFile) error {
			if !x.drop(ref) {
				return imagestore.ErrNotFound
			}
			return nil
		})
	}
	err := untag()
	if err != nil && l.useReserve(err) {
		err = untag()
	}
	if err != nil {
		return l.fail("untag", ref, err)
	}
	l.sweep()
	return nil
}
