package resolver

import (
	"context"
	"errors"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// fixedHeads has one commit on every branch.
type fixedHeads struct {
	head git.Revision
	err  error
	hint Dialect // of the last call of Head
}

func (h *fixedHeads) Head(
	_ context.Context, _ git.Remote, _ git.Ref, hint Dialect,
) (Head, error) {
	h.hint = hint
	return Head{Revision: h.head}, h.err
}

func (h *fixedHeads) OnBranch(
	_ context.Context, _ git.Remote, _ git.Ref, rev git.Revision, _ Dialect,
) (Head, error) {
	if h.err == nil && rev != h.head {
		return Head{}, ErrNotOnBranch
	}
	return Head{Revision: rev}, h.err
}

func TestCommit(t *testing.T) {
	newest, older := mustRevision(t, shaA), mustRevision(t, shaB)
	for name, c := range map[string]struct {
		want   Pin
		server error
		rev    git.Revision
		err    error
	}{
		"head":           {Pin{}, nil, newest, nil},
		"head, refused":  {Pin{}, ErrUnauthorized, newest, ErrUnauthorized},
		"on the branch":  {Pin{Revision: newest}, nil, newest, nil},
		"off the branch": {Pin{Revision: older}, nil, older, ErrNotOnBranch},
		"any commit":     {Pin{Revision: older, OffBranch: true}, nil, older, nil},
		"any commit refused": {Pin{Revision: older, OffBranch: true}, ErrNotFound, older,
			ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			heads := &fixedHeads{head: newest, err: c.server}
			head, err := Commit(t.Context(), heads, Template{}, c.want, Dialect{Format: git.SHA256})
			if !errors.Is(err, c.err) || err == nil && head.Revision != c.rev {
				t.Errorf("got %v, %v", head, err)
			}
			if c.want.Revision.IsZero() && heads.hint.Format != git.SHA256 {
				t.Errorf("the hint is %v", heads.hint)
			}
		})
	}
}

func TestCommitOfAPinnedTemplate(t *testing.T) {
	newest, older := mustRevision(t, shaA), mustRevision(t, shaB)
	byHash := Template{Revision: older}
	byTag := Template{Ref: mustTag(t, "v1")}
	for name, c := range map[string]struct {
		template Template
		want     Pin
		server   error
		rev      git.Revision
		err      error
	}{
		"hash":                    {byHash, Pin{}, nil, older, nil},
		"hash, refused":           {byHash, Pin{}, ErrUnauthorized, older, ErrUnauthorized},
		"hash, asked for":         {byHash, Pin{Revision: older}, nil, older, nil},
		"hash, another asked for": {byHash, Pin{Revision: newest}, nil, newest, ErrNotOnBranch},
		"hash, any asked for": {byHash, Pin{Revision: newest, OffBranch: true}, nil, newest,
			nil},
		"tag":                    {byTag, Pin{}, nil, newest, nil},
		"tag, another asked for": {byTag, Pin{Revision: older}, nil, older, ErrNotOnBranch},
	} {
		t.Run(name, func(t *testing.T) {
			heads := &fixedHeads{head: newest, err: c.server}
			head, err := Commit(t.Context(), heads, c.template, c.want, Dialect{})
			if !errors.Is(err, c.err) || err == nil && head.Revision != c.rev {
				t.Errorf("got %v, %v", head, err)
			}
		})
	}
}
