package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// fallBack serves a look-up that git's protocol didn't answer. Where the server
// doesn't take the request at all (an old git, a proxy that lets no POST
// through) the forge's API is asked for a branch's commit; otherwise the error is explained.
func (c *Client) fallBack(
	ctx context.Context, remote git.Remote, ref git.Ref, err error,
) (Head, error) {
	var refusal *statusError
	if errors.As(err, &refusal) && isUnserved(refusal.code) &&
		(ref.IsHEAD() || ref.Branch() != "") {
		head, apiErr := c.branchByAPI(ctx, remote, ref)
		if apiErr == nil {
			head.Remote = remote
			head.Dialect = Dialect{Format: head.Revision.Format(), Protocol: ProtocolAPI}
			c.dialects.Store(remote, head.Dialect)
			return head, nil
		}
		if !isUnknownAPI(apiErr) {
			err = apiErr
		}
	}
	return Head{}, c.explain(ctx, remote, err)
}

func isUnserved(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed,
		http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return true
	}
	return false
}

// isUnknownAPI reports whether the answer isn't from an API that is known here,
// and so says nothing about the repository.
func isUnknownAPI(err error) bool {
	var refusal *statusError
	return errors.Is(err, errNoForge) || errors.As(err, &refusal) && !refusal.isAPI
}

// explain turns a statusError into an error that says what to do; any other
// error is returned as it is.
func (c *Client) explain(ctx context.Context, remote git.Remote, err error) error {
	var refusal *statusError
	switch {
	case errors.Is(err, errRefused):
		return fmt.Errorf("%w: %w", ErrInvalidAnswer, err)
	case !errors.As(err, &refusal):
		return err
	case refusal.isDenial():
		return c.explainDenied(ctx, remote, refusal)
	case refusal.isMissing():
		return c.missingRepository(remote)
	case refusal.code == http.StatusConflict: // Gitea's answer for a repository without commits
		return errEmptyRepository
	case refusal.code >= http.StatusInternalServerError:
		return fmt.Errorf("%w: %w: try again later", errServerUnavailable, refusal)
	default:
		return fmt.Errorf("%w: %w: check that the URL is a git repository's",
			ErrInvalidAnswer, refusal)
	}
}

// explainDenied asks the forge's API why: Gitea answers a missing repository, a
// private one and a bad token all with 401 in git's protocol.
func (c *Client) explainDenied(ctx context.Context, remote git.Remote, denied *statusError) error {
	_, err := c.repository(ctx, remote)
	var refusal *statusError
	switch {
	case ctx.Err() != nil:
		return requestError(ctx, ctx.Err())
	case isFinal(err):
		return err
	case errors.As(err, &refusal) && refusal.isAPI && refusal.code == http.StatusNotFound:
		return c.missingRepository(remote)
	case errors.As(err, &refusal) && refusal.isAPI && refusal.isDenial():
		return c.unauthorized(remote, refusal)
	default:
		return c.unauthorized(remote, denied)
	}
}
