package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
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
	login, err := e.login(reference.Domain(named))
	if err != nil {
		return "", failure(err)
	}
	_, found, err := login.resolver().Resolve(ctx, reference.TagNameOnly(named).String())
	if err != nil {
		return "", failure(login.headFailure(ref, err))
	}
	return found.Digest.String(), nil
}

// resolver returns a client of registries that shows the login to its own host.
func (l login) resolver() remotes.Resolver {
	return docker.NewResolver(docker.ResolverOptions{Hosts: docker.ConfigureDefaultRegistries(
		docker.WithAuthorizer(docker.NewDockerAuthorizer(docker.WithAuthCreds(l.forHost))),
		docker.WithPlainHTTP(docker.MatchLocalhost))})
}

// forHost returns the credentials if a host is the login's.
func (l login) forHost(host string) (user, secret string, err error) {
	if own, err := docker.DefaultHost(l.host); err != nil || host != own {
		return "", "", err
	}
	return l.user, l.secret, nil
}

// headFailure returns an error of the registry's that a HEAD request came to.
func (l login) headFailure(ref string, err error) error {
	status, _ := errors.AsType[remoteerrors.ErrUnexpectedStatus](err)
	err = l.secrets.Error(err)
	switch {
	case cerrdefs.IsNotFound(err):
		return errdef.In(errdef.RegistryImageMissing, ref,
			fmt.Errorf("%w: %w", imagestore.ErrNotFound, err))
	case status.StatusCode == http.StatusUnauthorized, status.StatusCode == http.StatusForbidden,
		errors.Is(err, docker.ErrInvalidAuthorization):
		return errdef.In(errdef.RegistryUnauthorized, l.host,
			fmt.Errorf("%w: %w", imagestore.ErrUnauthorized, err))
	}
	return errdef.In(errdef.RegistryUnreachable, l.host,
		fmt.Errorf("%w: %s: %w", imagestore.ErrUnavailable, l.host, err))
}
