package docker

import (
	"context"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// PublishedDigest asks a registry which manifest ref names, with the credentials of the Docker
// config. The request is a HEAD, which registries with a limit on pulls do not count. It does not
// pass through the engine, so the engine's mirrors and insecure registries do not apply: plain HTTP
// is spoken to loopback alone.
//
// Errors are *imagestore.Error from the registry: ErrUnauthorized, ErrNotFound, ErrUnavailable.
func (e *Engine) PublishedDigest(ctx context.Context, ref string) (string, error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	failure := func(err error) error {
		return &imagestore.Error{Op: "head", Origin: imagestore.OriginRegistry, Ref: ref, Err: err}
	}
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", failure(err)
	}
	login, err := e.logins.For(reference.Domain(named))
	if err != nil {
		return "", failure(err)
	}
	repository, err := registry.Open(ref, login)
	if err != nil {
		return "", err
	}
	defer repository.Close()
	found, err := repository.Head(ctx)
	if err != nil {
		return "", err
	}
	return found.Digest.String(), nil
}
