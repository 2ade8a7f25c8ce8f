package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/util/attestation"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// maxDocument is the greatest size of a manifest or a config that is read from a registry.
const maxDocument = 4 << 20

// afterRefusal looks at what the registry has under the name that it refused to an engine. An
// engine with a classic store sends the manifest each time, and a registry whose tags are fixed
// refuses it even if nothing would change. It returns the digest if the image is there, and
// otherwise the refusal, within a [imagestore.TakenError] if another image is there.
func (e *Engine) afterRefusal(
	ctx context.Context, id string, named reference.Named, l login, refused error,
) (string, error) {
	failed, ok := errors.AsType[*imagestore.Error](refused)
	if !ok || failed.Origin != imagestore.OriginRegistry ||
		!refusalOf(failed, named.String()).ofName {
		return "", refused
	}
	ctx, cancel := brief(ctx)
	defer cancel()
	has, err := e.shown(ctx, named.String(), l)
	if err != nil {
		return "", refused // nothing is there, or nobody knows
	}
	if has.String() == id {
		return id, nil
	}
	// What cannot be read counts as another image.
	config, labels, _ := l.read(ctx, named, has)
	if config.String() == id {
		return has.String(), nil
	}
	return "", &imagestore.Error{Op: failed.Op, Origin: failed.Origin, Ref: failed.Ref,
		Err: &imagestore.TakenError{Digest: has.String(), Labels: labels, Err: failed.Err}}
}

// read returns the config's digest of an image in a registry, and its labels. Of an index it takes
// the first image. The engine has no such request, so this process asks the registry.
func (l login) read(
	ctx context.Context, named reference.Named, d digest.Digest,
) (config digest.Digest, labels map[string]string, err error) {
	pinned, err := reference.WithDigest(reference.TrimNamed(named), d)
	if err != nil {
		return "", nil, err
	}
	resolver := l.resolver()
	_, root, err := resolver.Resolve(ctx, pinned.String())
	if err != nil {
		return "", nil, err
	}
	fetcher, err := resolver.Fetcher(ctx, pinned.String())
	if err != nil {
		return "", nil, err
	}
	var document struct {
		Config    ocispec.Descriptor
		Manifests []ocispec.Descriptor
	}
	if err := fetchJSON(ctx, fetcher, root, &document); err != nil {
		return "", nil, err
	}
	if images.IsIndexType(root.MediaType) {
		for _, m := range document.Manifests {
			if m.Annotations[attestation.DockerAnnotationReferenceType] == "" {
				err = fetchJSON(ctx, fetcher, m, &document)
				break
			}
		}
	}
	var image ocispec.Image
	if err == nil {
		err = fetchJSON(ctx, fetcher, document.Config, &image)
	}
	return document.Config.Digest, image.Config.Labels, err
}

// fetchJSON reads a document and verifies it by its digest.
func fetchJSON(
	ctx context.Context, from remotes.Fetcher, desc ocispec.Descriptor, into any,
) error {
	r, err := from.Fetch(ctx, desc)
	if err != nil {
		return err
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, maxDocument))
	if err != nil {
		return err
	}
	if err := desc.Digest.Validate(); err != nil {
		return err
	}
	if desc.Digest.Algorithm().FromBytes(content) != desc.Digest {
		return fmt.Errorf("%s has another content", desc.Digest)
	}
	return json.Unmarshal(content, into)
}
