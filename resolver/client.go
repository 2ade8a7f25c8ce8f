package resolver

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"

	"git.moleculesai.app/molecule-ai/pinion/internal/flight"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Head is the answer to a look-up.
type Head struct {
	Revision git.Revision // the commit
	// Ref is the branch that was asked for; for HEAD, the branch that HEAD
	// points to. It is HEAD only if the server's HEAD is on no branch whose name
	// is allowed here.
	Ref git.Ref
	// Remote is where the answer came from. Its URL is the form that the server
	// has the repository at, for the fetch.
	Remote git.Remote
	// Dialect is how the server was asked, for the hint of the next look-up.
	Dialect Dialect
}

// Client asks Git servers for commits. It is safe for concurrent use. It keeps
// no answers; it only remembers how a repository is asked.
type Client struct {
	creds     Credentials
	redactor  *redact.Redactor
	servers   Servers
	transport http.RoundTripper
	own       map[string]*http.Transport // of servers, by host, instead of transport
	userAgent string
	timeouts  Timeouts
	retries   int
	backoff   Backoff
	tokenHint func(host string) string

	lookups  flight.Group[lookup, struct{}, Head]
	dialects sync.Map // git.Remote -> Dialect
}

// lookup is the key by which callers share a look-up. The credential is a part
// of it, so no caller gets the answer to a request with another token.
type lookup struct {
	remote git.Remote
	ref    git.Ref
	cred   Credential
}

// NewClient returns a client that sends each token to its own host alone.
func NewClient(creds Credentials, opts ...ClientOption) *Client {
	c := &Client{
		creds:     maps.Clone(creds),
		redactor:  redact.New(creds.Secrets()...),
		userAgent: defaultUserAgent,
		timeouts:  defaultTimeouts(),
		retries:   defaultRetries,
		backoff:   defaultBackoff,
		tokenHint: func(string) string { return DefaultTokenEnv },
	}
	for _, opt := range opts {
		opt(c)
	}
	if c.transport == nil {
		c.transport = newTransport(c.timeouts)
		c.own = c.servers.transports(c.timeouts)
	}
	return c
}

// Head asks for the commit that ref names right now, by one request in the good
// case: an ls-refs command of Git's protocol version 2 (gitprotocol-v2), POSTed
// without the discovery request that usually goes first. A server that does not
// understand it is asked as other gits ask. hint is what was learned of it before;
// a wrong one costs more requests.
//
// Calls at the same moment for the same remote, ref and credential share one
// look-up, which is cancelled when the last of them has left.
//
// The error is an *Error around ErrNotFound (also a *MovedError),
// ErrUnauthorized, ErrRateLimited, ErrUnavailable, ErrInvalidAnswer,
// ErrInvalidInput or the context's own error.
func (c *Client) Head(
	ctx context.Context, remote git.Remote, ref git.Ref, hint Dialect,
) (Head, error) {
	op := "look up " + ref.String() + " of"
	if remote.IsZero() {
		return Head{}, c.fail(op, remote, errNoRemote)
	}
	key := lookup{remote: remote, ref: ref, cred: c.creds.For(remote)}
	head, err := c.lookups.Do(ctx, key, func(ctx context.Context) (Head, error) {
		ctx, cancel := c.withDeadline(ctx)
		defer cancel()
		return c.followMoves(remote, func(remote git.Remote) (Head, error) {
			return c.head(ctx, remote, ref, hint)
		})
	})
	return head, c.fail(op, remote, err)
}

// maxRedirects bounds how many renames of one repository are followed.
const maxRedirects = 5

// followMoves asks for a repository where it has moved to, if its server may redirect on its own
// host. Where that is, is never remembered: the old name may become another repository's.
func (c *Client) followMoves(
	remote git.Remote, ask func(git.Remote) (Head, error),
) (Head, error) {
	for n := 0; ; n++ {
		head, err := ask(remote)
		moved, isMoved := errors.AsType[*MovedError](err)
		if !isMoved || n == maxRedirects || !c.servers.For(remote).FollowRedirects {
			return head, err
		}
		remote = moved.To
	}
}

// fail returns err as an *Error, nil for nil.
func (c *Client) fail(op string, remote git.Remote, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Remote: remote, Err: c.redactor.Error(err)}
}

func (c *Client) head(
	ctx context.Context, remote git.Remote, ref git.Ref, hint Dialect,
) (Head, error) {
	answer, d, err := c.ask(ctx, remote, hint, c.namesOf(remote, ref)...)
	switch {
	case err != nil:
		return c.fallBack(ctx, remote, ref, err)
	case answer.exists() && !answer.unborn:
		return headFrom(answer, ref, remote, d), nil
	case ref.IsHEAD():
		return c.unbornHead(ctx, remote, d)
	default:
		return Head{}, missingBranch(ref)
	}
}

// unbornHead serves a HEAD that points to a branch without a commit: the branch
// that the forge calls the default one may still exist.
func (c *Client) unbornHead(ctx context.Context, remote git.Remote, hint Dialect) (Head, error) {
	ref, err := c.defaultBranch(ctx, remote)
	if err != nil {
		return Head{}, err
	}
	if ref.IsHEAD() {
		return Head{}, errEmptyRepository
	}
	answer, d, err := c.ask(ctx, remote, hint, ref.String())
	if err != nil {
		return Head{}, c.explain(ctx, remote, err)
	}
	if !answer.exists() || answer.unborn {
		return Head{}, errEmptyRepository
	}
	return headFrom(answer, ref, remote, d), nil
}

// headFrom returns the commit and the branch of an answer about ref. A HEAD may
// point outside refs/heads/.
func headFrom(answer refAnswer, ref git.Ref, remote git.Remote, d Dialect) Head {
	if ref.IsHEAD() && strings.HasPrefix(answer.symref, "refs/heads/") {
		if branch, err := git.ParseBranch(answer.symref); err == nil {
			ref = branch
		}
	}
	d.Format = answer.revision.Format()
	return Head{Revision: answer.revision, Ref: ref, Remote: d.at(remote), Dialect: d}
}
