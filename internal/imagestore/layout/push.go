package layout

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// Logins returns the credential for a registry, by its host.
type Logins func(host string) (registry.Login, error)

// WithLogins sets where the credentials for pushes come from; the default is that there are none.
func WithLogins(find Logins) Option { return func(l *Layout) { l.logins = find } }

// Push sends an image to a registry, in pieces, and nothing of it that the registry has. The blobs
// go as they are, so the registry shows the ID. Each is compared with its digest on the way.
//
// Errors are *imagestore.Error. From the registry (Origin says so): ErrUnauthorized, ErrNotFound,
// ErrUnavailable, ErrTagFixed, and an *imagestore.TakenError if the registry has another image
// under the name. From the folder: ErrNotFound.
func (l *Layout) Push(
	ctx context.Context, p imagestore.Push, progress func(imagestore.Progress),
) (string, error) {
	named, err := reference.ParseNormalizedNamed(p.Ref)
	if err != nil {
		return "", l.fail("push", p.Ref, err)
	}
	login, err := l.logins(reference.Domain(named))
	if err != nil && !errors.Is(err, imagestore.ErrUnauthorized) {
		return "", l.fail("push", p.Ref, err)
	}
	if err != nil {
		return "", &imagestore.Error{Op: "push", Origin: imagestore.OriginRegistry, Ref: p.Ref,
			Err: err}
	}
	// No blob is swept while it is sent.
	unlock, err := l.lock(ctx, blobsLock, filelock.Shared)
	if err != nil {
		return "", l.fail("push", p.Ref, err)
	}
	defer unlock()
	content, err := l.content(p.ID)
	if err != nil {
		return "", l.fail("push", p.Ref, err)
	}
	repository, err := registry.Open(p.Ref, login)
	if err != nil {
		return "", err
	}
	defer repository.Close()
	shown, err := repository.Push(ctx, content, progress)
	if err != nil {
		return "", l.fail("push", p.Ref, err)
	}
	return shown.String(), nil
}

// content returns what there is to push of the image with an ID.
func (l *Layout) content(id string) (registry.Content, error) {
	x, err := l.index()
	if err != nil {
		return registry.Content{}, err
	}
	e, ok := x.find(id)
	if !ok {
		return registry.Content{}, imagestore.ErrNotFound
	}
	content, err := registry.NewContent(imagestore.Bare(e.Descriptor), l.document)
	if errors.Is(err, errDamaged) {
		err = fmt.Errorf("%w: the image is %w", imagestore.ErrNotFound, err)
	}
	content.Each = func(_ context.Context, wanted map[digest.Digest]bool,
		send func(ocispec.Descriptor, io.Reader) error,
	) error {
		for _, d := range content.Blobs {
			if !wanted[d.Digest] {
				continue
			}
			if err := l.send(d, send); err != nil {
				return err
			}
		}
		return nil
	}
	return content, err
}

func (l *Layout) send(
	d ocispec.Descriptor, send func(ocispec.Descriptor, io.Reader) error,
) error {
	if err := l.hasBlob(d); err != nil {
		return err
	}
	blob, err := l.root.Open(imagestore.BlobPath(d.Digest))
	if err != nil {
		return err
	}
	defer blob.Close()
	return send(d, blob)
}
