package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// EnsureOption adjusts one request for an image.
type EnsureOption func(*Wish)

// AtRevision requests a commit, as a full hash, instead of the branch's head. The commit must be on
// the template's branch.
func AtRevision(hash string) EnsureOption { return func(w *Wish) { w.Revision = hash } }

// AnyRevision allows [AtRevision] a commit that is not on the branch. The server refuses it unless
// its operator allowed it.
func AnyRevision() EnsureOption { return func(w *Wish) { w.AnyRevision = true } }

// AtPullRequest requests the head of the pull request with this number instead of the branch's, if
// the server's catalogue allows that. Its image has a name of its own. With [AtRevision] the commit
// must be this head.
func AtPullRequest(number int) EnsureOption {
	return func(w *Wish) { w.PullRequest = number }
}

// Pull queries the registries again for images, those in FROM included.
func Pull() EnsureOption { return func(w *Wish) { w.Pull = true } }

// NoCache runs every step again.
func NoCache() EnsureOption { return func(w *Wish) { w.NoCache = true } }

// Request requests an image without waiting for a build. It returns the image if it is in the
// store, otherwise the build that the server started or joined. That build goes on until it ends or
// every caller has withdrawn, see [Client.Cancel].
func (c *Client) Request(
	ctx context.Context, name string, opts ...EnsureOption,
) (*Image, *Accepted, error) {
	var wish Wish
	for _, o := range opts {
		o(&wish)
	}
	q := request{method: http.MethodPost, path: "/v1/images/" + url.PathEscape(name), body: wish}
	img, accepted, err := c.request(ctx, q)
	if c.start != nil && (errors.Is(err, ErrNoServer) || isKind(err, "draining")) {
		// The server was idle and has ended, or is about to.
		if err = c.start(ctx); err == nil {
			img, accepted, err = c.request(ctx, q)
		}
	}
	var e *Error
	if errors.As(err, &e) {
		e.Name = name
	}
	return img, accepted, err
}

func (c *Client) request(ctx context.Context, q request) (*Image, *Accepted, error) {
	var text json.RawMessage
	status, err := c.ask(ctx, q, &text)
	if err != nil {
		return nil, nil, err
	}
	img, accepted := new(Image), new(Accepted)
	if status == http.StatusAccepted {
		img, err = nil, json.Unmarshal(text, accepted)
	} else {
		accepted, err = nil, json.Unmarshal(text, img)
	}
	if err != nil {
		return nil, nil, c.noAnswer(ctx, err)
	}
	return img, accepted, nil
}

// Cancel withdraws the interest of [Client.Request] in a build. The last caller to withdraw cancels
// the build.
func (c *Client) Cancel(ctx context.Context, build, interest string) error {
	_, err := c.ask(ctx, request{method: http.MethodDelete, path: buildPath(build),
		header: map[string]string{"Pinion-Interest": interest}}, nil)
	return err
}

// Builds lists the builds and pulls in progress and those that ended last, newest first.
func (c *Client) Builds(ctx context.Context) ([]Build, error) {
	var answer struct{ Builds []Build }
	_, err := c.ask(ctx, request{method: http.MethodGet, path: "/v1/builds"}, &answer)
	return answer.Builds, err
}

// Build returns the state of a build.
func (c *Client) Build(ctx context.Context, id string) (Build, error) {
	var b Build
	_, err := c.ask(ctx, request{method: http.MethodGet, path: buildPath(id)}, &b)
	return b, err
}

// Images lists the images in the store that Pinion built, newest first.
func (c *Client) Images(ctx context.Context) ([]Built, error) {
	var answer struct{ Images []Built }
	_, err := c.ask(ctx, request{method: http.MethodGet, path: "/v1/images"}, &answer)
	return answer.Images, err
}

// Templates lists the server's catalogue.
func (c *Client) Templates(ctx context.Context) ([]Template, error) {
	var answer struct{ Templates []Template }
	_, err := c.ask(ctx, request{method: http.MethodGet, path: "/v1/templates"}, &answer)
	return answer.Templates, err
}

// Ready returns nil if the server accepts requests for images and its image store answers.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.ask(ctx, request{method: http.MethodGet, path: "/readyz"}, nil)
	return err
}

// alive returns nil if a server runs at the address and is not about to end.
func (c *Client) alive(ctx context.Context) error {
	err := c.Ready(ctx)
	if errors.Is(err, ErrNoServer) || isKind(err, "draining") || ctx.Err() != nil {
		return err
	}
	return nil // perhaps without an image store
}

func buildPath(id string) string { return "/v1/builds/" + url.PathEscape(id) }
