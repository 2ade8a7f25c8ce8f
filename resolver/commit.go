package resolver

import (
	"context"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Heads answers for the branches of repositories. A [Client] does.
type Heads interface {
	Head(ctx context.Context, remote git.Remote, ref git.Ref, hint Dialect) (Head, error)
	OnBranch(ctx context.Context, remote git.Remote, ref git.Ref, rev git.Revision,
		hint Dialect) (Head, error)
}

// Pin says which commit of a template is wanted. The zero value is the head of its ref.
type Pin struct {
	Revision git.Revision // the commit; zero for the head
	// OffBranch lets the Revision be on any branch, or on none.
	OffBranch bool
	// PullRequest is the number of the pull request whose head it is, 0 for none. A Revision must
	// be that head at the moment.
	PullRequest int
}

// Head returns the pin for what p follows, without its commit.
func (p Pin) Head() Pin { return Pin{PullRequest: p.PullRequest} }

// Commit returns the commit of a template, and where to fetch it. The server is asked in every
// case: without access to the template's ref there is an error and no commit. A Revision that is
// not on the ref, or is not that of a pinned template, is an ErrNotOnBranch, unless it may be off
// the branch. hint is that of [Client.Head], and so are the other errors.
func Commit(
	ctx context.Context, heads Heads, t Template, want Pin, hint Dialect,
) (Head, error) {
	if want.PullRequest != 0 {
		return pullRequestHead(ctx, heads, t, want, hint)
	}
	if !want.Revision.IsZero() && !want.OffBranch && !t.IsPinned() {
		return heads.OnBranch(ctx, t.Remote, t.Ref, want.Revision, hint)
	}
	head, err := HeadOf(ctx, heads, t, hint)
	switch {
	case err != nil || want.Revision.IsZero():
		return head, err
	case !want.OffBranch && head.Revision != want.Revision:
		return Head{}, notOnBranch("the catalogue pins the template to " + head.Revision.String())
	}
	head.Revision = want.Revision
	return head, nil
}

// HeadOf returns the commit that a template stands for at the moment: its own, or the one that its
// ref names. The server is asked in both cases, and the errors are those of [Client.Head].
func HeadOf(ctx context.Context, heads Heads, t Template, hint Dialect) (Head, error) {
	head, err := heads.Head(ctx, t.Remote, t.Ref, hint)
	if err == nil && !t.Revision.IsZero() {
		head.Revision, head.Ref = t.Revision, git.HEAD
	}
	return head, err
}
