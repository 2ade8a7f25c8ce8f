package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/moby/buildkit/util/attestation"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxDocument is the greatest size of a manifest or a config, in bytes. Registries take manifests
// of 4 MiB.
const maxDocument = 4 << 20

// Found is an image in a registry.
type Found struct {
	// Root is the manifest or the index, with its content in Data.
	Root ocispec.Descriptor
	// Config is the digest of the image's config, of an index that of its first image.
	Config digest.Digest
	// Labels are those of the config.
	Labels map[string]string
}

// Describe reads the image with that digest from the registry. What it reads has the digests that
// lead to it. An error says that it is not there or cannot be read.
func (r *Repository) Describe(ctx context.Context, d digest.Digest) (Found, error) {
	named, err := r.at(d)
	if err != nil {
		return Found{}, err
	}
	root, err := r.head(ctx, named)
	if err != nil {
		return Found{}, r.login.Clean(err)
	}
	found, err := r.read(ctx, named.String(), root)
	return found, r.login.Clean(err)
}

func (r *Repository) read(
	ctx context.Context, name string, root ocispec.Descriptor,
) (f Found, err error) {
	fetcher, err := r.resolver().Fetcher(ctx, name)
	if err != nil {
		return f, err
	}
	var document struct {
		Config    ocispec.Descriptor
		Manifests []ocispec.Descriptor
	}
	f.Root = root
	if f.Root.Data, err = fetchJSON(ctx, fetcher, root, &document); err != nil {
		return f, err
	}
	if images.IsIndexType(root.MediaType) {
		for _, m := range document.Manifests {
			if m.Annotations[attestation.DockerAnnotationReferenceType] == "" {
				_, err = fetchJSON(ctx, fetcher, m, &document)
				break
			}
		}
	}
	f.Config = document.Config.Digest
	var image ocispec.Image
	if err == nil {
		_, err = fetchJSON(ctx, fetcher, document.Config, &image)
	}
	f.Labels = image.Config.Labels
	return f, err
}

// fetchJSON reads a document and verifies it by its digest.
func fetchJSON(
	ctx context.Context, from remotes.Fetcher, desc ocispec.Descriptor, into any,
) ([]byte, error) {
	r, err := from.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, maxDocument))
	if err != nil {
		return nil, err
	}
	if err := desc.Digest.Validate(); err != nil {
		return nil, err
	}
	if desc.Digest.Algorithm().FromBytes(content) != desc.Digest {
		return nil, fmt.Errorf("%s has another content", desc.Digest)
	}
	return content, json.Unmarshal(content, into)
}
