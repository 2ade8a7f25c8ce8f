package registry

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Repository is a client of one repository in a registry. Its methods are for one goroutine.
type Repository struct {
	named reference.Named
	login Login
	// client sends all requests; its transport is closed by Close.
	client    *http.Client
	transport *http.Transport
	host      docker.RegistryHost
	piece     int
	buffer    []byte
	moved     func(n int)

	mu   sync.Mutex
	auth docker.Authorizer
}

// Option adjusts a Repository.
type Option func(*Repository)

// WithPiece sets the greatest size of a request's body in bytes; the default is 16 MiB. A registry
// that requires larger pieces gets them.
func WithPiece(bytes int) Option { return func(r *Repository) { r.piece = bytes } }

// Open returns a client of the repository in which ref is. It sends nothing yet. An error is an
// *imagestore.Error. The caller closes the repository.
func Open(ref string, l Login, opts ...Option) (*Repository, error) {
	r := &Repository{login: l, piece: defaultPiece, moved: func(int) {},
		transport: docker.DefaultHTTPTransport(nil)}
	for _, o := range opts {
		o(r)
	}
	if err := r.open(ref); err != nil {
		r.Close()
		return nil, &imagestore.Error{Op: "open", Origin: imagestore.OriginRegistry, Ref: ref,
			Err: err}
	}
	return r, nil
}

func (r *Repository) open(ref string) (err error) {
	if r.named, err = reference.ParseNormalizedNamed(ref); err != nil {
		return err
	}
	domain := reference.Domain(r.named)
	plain, err := docker.MatchLocalhost(domain)
	if err != nil {
		return err
	}
	r.client = &http.Client{Transport: secure{r.transport, plain}, CheckRedirect: follow}
	r.newAuth()
	hosts, err := r.hosts(domain)
	if err != nil {
		return err
	}
	r.host = hosts[0]
	return nil
}

// Close frees the connections.
func (r *Repository) Close() { r.transport.CloseIdleConnections() }

// newAuth replaces the authorizer by one without tokens: a token that is not accepted any more
// would be used again.
func (r *Repository) newAuth() docker.Authorizer {
	tokens := *r.client
	tokens.CheckRedirect = stayHome
	r.mu.Lock()
	defer r.mu.Unlock()
	r.auth = docker.NewDockerAuthorizer(docker.WithAuthCreds(r.login.forHost),
		docker.WithAuthClient(&tokens))
	return r.auth
}

func (r *Repository) authorizer() docker.Authorizer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.auth
}

// authorize gives a request the credential that the registry has asked for. It is called once at a
// time: the authorizer does not guard the expiry of its tokens.
func (r *Repository) authorize(ctx context.Context, req *http.Request) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.auth.Authorize(ctx, req)
}

// hosts implements docker.RegistryHosts.
func (r *Repository) hosts(domain string) ([]docker.RegistryHost, error) {
	return docker.ConfigureDefaultRegistries(
		docker.WithAuthorizer(r.authorizer()), docker.WithClient(r.client),
		docker.WithPlainHTTP(docker.MatchLocalhost))(domain)
}

func (r *Repository) resolver() remotes.Resolver {
	return docker.NewResolver(docker.ResolverOptions{Hosts: r.hosts})
}

// Head returns the manifest that the reference of Open names in the registry. The request is a
// HEAD, which registries with a limit on pulls do not count.
//
// Errors are *imagestore.Error: ErrUnauthorized, ErrNotFound, ErrUnavailable.
func (r *Repository) Head(ctx context.Context) (ocispec.Descriptor, error) {
	found, err := r.head(ctx, reference.TagNameOnly(r.named))
	return found, r.fail("head", err)
}

func (r *Repository) head(
	ctx context.Context, named reference.Named,
) (ocispec.Descriptor, error) {
	_, found, err := r.resolver().Resolve(ctx, named.String())
	return found, err
}

// at returns the name of a digest in the repository.
func (r *Repository) at(d digest.Digest) (reference.Canonical, error) {
	return reference.WithDigest(reference.TrimNamed(r.named), d)
}

// url returns the address of a path below the repository's.
func (r *Repository) url(path string) string {
	return fmt.Sprintf("%s://%s%s/%s/%s", r.host.Scheme, r.host.Host, r.host.Path,
		reference.Path(r.named), path)
}
