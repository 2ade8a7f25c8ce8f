package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Content is an image that can be pushed.
type Content struct {
	// Manifests have their content in Data. Each follows those that it refers to; the last is what
	// identifies the image.
	Manifests []ocispec.Descriptor
	// Blobs are what the manifests refer to, each once.
	Blobs []ocispec.Descriptor
	// Each calls send with the blobs that are wanted, in any order. It returns the error of send.
	Each func(ctx context.Context, wanted map[digest.Digest]bool,
		send func(ocispec.Descriptor, io.Reader) error) error
}

// Root is the manifest or index that identifies the image.
func (c Content) Root() ocispec.Descriptor { return c.Manifests[len(c.Manifests)-1] }

// NewContent returns the content of an image without Each. read returns the content of a manifest.
func NewContent(
	root ocispec.Descriptor, read func(ocispec.Descriptor) ([]byte, error),
) (Content, error) {
	c := Content{}
	err := c.add(root, read, map[digest.Digest]bool{})
	return c, err
}

func (c *Content) add(
	d ocispec.Descriptor, read func(ocispec.Descriptor) ([]byte, error),
	seen map[digest.Digest]bool,
) error {
	if seen[d.Digest] {
		return nil
	}
	seen[d.Digest] = true
	if !images.IsManifestType(d.MediaType) && !images.IsIndexType(d.MediaType) {
		c.Blobs = append(c.Blobs, d)
		return nil
	}
	body, err := read(d)
	if err != nil {
		return err
	}
	var document struct {
		Config            *ocispec.Descriptor
		Manifests, Layers []ocispec.Descriptor
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	parts := slices.Concat(document.Manifests, document.Layers)
	if document.Config != nil {
		parts = append(parts, *document.Config)
	}
	for _, part := range parts {
		if err := c.add(part, read, seen); err != nil {
			return err
		}
	}
	d.Data = body
	c.Manifests = append(c.Manifests, d)
	return nil
}
