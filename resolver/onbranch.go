package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// OnBranch returns rev only if it is a commit and is, right now, the head of the
// branch that ref names or an ancestor of it. A commit of a fork, of a pull
// request or of another branch can be in the same object store and be fetched by
// its name, although no maintainer has accepted it.
//
// The answer is the server's, by git's protocol. Where that gives no answer, it
// is the forge's, by Gitea's API: compare/<branch>...<rev> with total_commits 0,
// and the other way round with more than 0, since some versions answer 0 for
// histories that share nothing. A commit for which neither shows it is refused:
// the error is an *Error around ErrNotOnBranch, or one of Head's.
func (c *Client) OnBranch(
	ctx context.Context, remote git.Remote, ref git.Ref, rev git.Revision, hint Dialect,
) (Head, error) {
	op := "check that " + rev.Short() + " is on " + ref.String() + " of"
	if remote.IsZero() || rev.IsZero() {
		return Head{}, c.fail(op, remote, fmt.Errorf("%w: no repository or no revision given",
			ErrInvalidInput))
	}
	ctx, cancel := c.withDeadline(ctx)
	defer cancel()
	hint.Format = rev.Format()
	head, err := c.followMoves(remote, func(remote git.Remote) (Head, error) {
		head, err := c.head(ctx, remote, ref, hint)
		if err == nil {
			err = c.requireOnBranch(ctx, remote, head, rev)
		}
		if err != nil {
			return Head{}, err
		}
		head.Revision = rev
		return head, nil
	})
	return head, c.fail(op, remote, err)
}

func (c *Client) requireOnBranch(
	ctx context.Context, remote git.Remote, head Head, rev git.Revision,
) error {
	if head.Revision == rev {
		return nil
	}
	ok, err := c.isAncestor(ctx, head, rev)
	switch {
	case ok:
		return nil
	case err == nil:
		return notOnBranch("it is not in the history of " + head.Ref.String())
	case ctx.Err() != nil:
		return requestError(ctx, ctx.Err())
	case head.Ref.Branch() == "":
		return fmt.Errorf("%w, and %w", notOnBranch(head.Ref.String()+" is on no branch"), err)
	}
	for _, check := range []func(context.Context, git.Remote, git.Ref, git.Revision) error{
		c.requireNoNamesake, c.requireCommit, c.requireAncestor,
	} {
		failed := check(ctx, remote, head.Ref, rev)
		if failed != nil && isOutage(err) {
			return c.explain(ctx, remote, err) // git's protocol may show it the next time
		}
		if failed != nil {
			return failed
		}
	}
	return nil
}

// isOutage reports whether the server gave no answer for a reason that may pass.
func isOutage(err error) bool {
	var refusal *statusError
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRateLimited) ||
		errors.As(err, &refusal) && refusal.code >= http.StatusInternalServerError
}

func notOnBranch(why string) error {
	return errdef.In(errdef.CommitOffBranch, "", fmt.Errorf("%w: %s", ErrNotOnBranch, why))
}

// requireNoNamesake refuses a commit whose name is also that of a branch or a
// tag: the forge would compare the branch or tag instead.
func (c *Client) requireNoNamesake(
	ctx context.Context, remote git.Remote, _ git.Ref, rev git.Revision,
) error {
	answer, _, err := c.ask(ctx, remote, Dialect{Format: rev.Format()},
		"refs/heads/"+rev.String(), "refs/tags/"+rev.String())
	if err != nil {
		return c.explain(ctx, remote, err)
	}
	if answer.exists() {
		return notOnBranch(answer.name +
			" is named like the commit, so that the forge can't tell them apart")
	}
	return nil
}

// requireCommit refuses an object that isn't a commit, such as an annotated tag:
// the API answers for the commit that it points to.
func (c *Client) requireCommit(
	ctx context.Context, remote git.Remote, _ git.Ref, rev git.Revision,
) error {
	answer, err := c.apiObject(ctx, remote,
		"/git/commits/"+rev.String()+"?stat=false&verification=false&files=false")
	var refusal *statusError
	if errors.As(err, &refusal) && refusal.isAPI && refusal.code == http.StatusNotFound {
		return notOnBranch("the repository has no such commit")
	}
	if err != nil {
		return c.unverified(ctx, remote, err)
	}
	hex, err := answer.text("sha")
	if err != nil {
		return err
	}
	if hex != rev.String() {
		return notOnBranch("it isn't a commit but points to " + quoteAnswer(hex))
	}
	return nil
}

func (c *Client) requireAncestor(
	ctx context.Context, remote git.Remote, branch git.Ref, rev git.Revision,
) error {
	name := escapePath(branch.Branch())
	ahead, err := c.hasCommits(ctx, remote, name+"..."+rev.String())
	if err != nil {
		return err
	}
	if ahead {
		return notOnBranch("it has commits that " + branch.String() + " hasn't")
	}
	behind, err := c.hasCommits(ctx, remote, rev.String()+"..."+name)
	if err != nil {
		return err
	}
	if !behind {
		return notOnBranch("it shares no history with " + branch.String())
	}
	return nil
}

// hasCommits reports whether base...head has any commit. Only the list of an
// ancestor is empty, so the answer is read no further than the count if it
// isn't 0: with the commits it may be large.
func (c *Client) hasCommits(ctx context.Context, remote git.Remote, baseHead string) (bool, error) {
	total, seen := uint64(0), false
	err := c.apiGet(ctx, remote, "/compare/"+baseHead+"?stat=false&verification=false&files=false",
		func(resp *http.Response) error {
			return eachMember(resp.Body, func(key string, value any) (more bool, err error) {
				if key == "total_commits" {
					seen = true
					total, err = count(value)
				}
				return total == 0, err
			})
		})
	if err != nil {
		return false, c.unverified(ctx, remote, err)
	}
	if !seen {
		return false, fmt.Errorf("%w: the comparison has no total_commits", ErrInvalidAnswer)
	}
	return total > 0, nil
}

// unverified explains why the forge made no comparison. Gitea answers
// 500 where the histories share nothing.
func (c *Client) unverified(ctx context.Context, remote git.Remote, err error) error {
	var refusal *statusError
	if errors.Is(err, errNoForge) || errors.As(err, &refusal) && !refusal.isDenial() {
		return fmt.Errorf("%w: %w",
			notOnBranch("neither git's protocol nor Gitea's API showed it"), err)
	}
	return c.explain(ctx, remote, err)
}
