package buildkit

import (
	"context"
	"fmt"
	"path"

	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Access says where a repository is, and which credential its host is shown for it.
type Access struct {
	Remote git.Remote
	// Token and AuthHeader are as in a [Request].
	Token, AuthHeader string
}

// AskSubmodule asks the git server of a submodule whether the repository can be read. The texts of
// its errors have no secrets.
type AskSubmodule func(ctx context.Context, remote git.Remote) (Access, error)

// withSubmodules returns the checkout with its submodules, if the request asks for them and the
// commit has any. Each is fetched by itself, at the commit that the tree names, since BuildKit's
// git source shows a credential to its own repository alone. Each repository, also of a submodule
// of a submodule, must be in the request's list and is asked before the builder fetches it: so no
// redirect leads a credential elsewhere, and none is read from the builder's cache that cannot be
// read from the server. A builder that cannot leave submodules out has fetched them already,
// without a credential.
func withSubmodules(
	ctx context.Context, c gateway.Client, co *checkout, req Request, g *gate,
) (*checkout, error) {
	if len(req.Submodules) == 0 {
		return co, nil
	}
	if st, err := find(ctx, co.tree, gitmodules); err != nil || st == nil {
		return co, err
	}
	check := submoduleCheck{allowed: req.Submodules}
	if co.submodules {
		err := check.nested(ctx, co.tree, []resolved{{remote: req.Remote}})
		co.modules = check.found
		return co, err
	}
	f := submoduleFetch{client: c, strategy: co.strategy, ask: req.AskSubmodule, gate: g,
		check: &check}
	root := Request{Remote: req.Remote, Revision: req.Revision, KeepGitDir: req.KeepGitDir}
	if err := f.of(ctx, root, co.tree, ""); err != nil || f.places == nil {
		return co, err
	}
	co.state, co.modules = co.state.File(f.places, llb.WithCustomName("put submodules in place")),
		f.fetched
	tree, err := take(ctx, c, co.state)
	co.tree = tree
	return co, err
}

// submoduleFetch fetches the submodules of a repository, and theirs.
type submoduleFetch struct {
	client   gateway.Client
	strategy Strategy
	ask      AskSubmodule // nil if no credential is shown
	gate     *gate
	check    *submoduleCheck

	fetched []resolved
	places  *llb.FileAction // puts what was fetched where it belongs
}

// of fetches the submodules of a repository whose tree is at dir below the root.
func (f *submoduleFetch) of(ctx context.Context, req Request, tree files, dir string) error {
	modules, err := f.check.of(ctx, tree, "", req.Remote)
	if err != nil || len(modules) == 0 {
		return err
	}
	commits, err := f.commits(ctx, req, tree)
	if err != nil {
		return err
	}
	for _, m := range modules {
		rev, ok := commits[m.path]
		if !ok {
			continue // as git does: the commit has no such submodule
		}
		access, err := f.access(ctx, m)
		if err != nil {
			return err
		}
		f.gate.admit(access)
		module := Request{Remote: access.Remote, Revision: rev, KeepGitDir: req.KeepGitDir}
		st, inner, err := f.take(ctx, module)
		if err != nil {
			return err
		}
		at := path.Join(dir, m.path)
		f.place(st, at)
		f.fetched = append(f.fetched, resolved{at, access.Remote})
		module.Remote = m.remote // to which relative URLs refer
		if err := f.of(ctx, module, inner, at); err != nil {
			return err
		}
	}
	return nil
}

// commits returns the commits of a repository's submodules by their paths. A checkout without .git
// does not tell them.
func (f *submoduleFetch) commits(
	ctx context.Context, req Request, tree files,
) (map[string]git.Revision, error) {
	if !req.KeepGitDir {
		req.KeepGitDir = true
		var err error
		if _, tree, err = f.take(ctx, req); err != nil {
			return nil, err
		}
	}
	index, err := readIndex(ctx, tree)
	if err != nil {
		return nil, err
	}
	return gitlinks(index, req.Revision.Format())
}

// access asks for a submodule's repository. Where it is redirected to must be allowed, too.
func (f *submoduleFetch) access(ctx context.Context, m resolved) (Access, error) {
	if f.ask == nil {
		return Access{Remote: m.remote}, nil
	}
	access, err := f.ask(ctx, m.remote)
	if err != nil {
		return Access{}, &Error{Op: "fetch submodule", Kind: ErrSubmodule,
			Err: harmless(fmt.Errorf("%q: %w", m.path, err))}
	}
	if err := f.check.allow(access.Remote); err != nil {
		return Access{}, refuse("submodule %q: %w", m.path, err)
	}
	return access, nil
}

// take fetches one repository.
func (f *submoduleFetch) take(ctx context.Context, req Request) (llb.State, files, error) {
	caps := f.client.BuildOpts().LLBCaps
	st := gitSource(req, f.strategy, &caps, true)
	tree, err := take(ctx, f.client, st)
	if err != nil && f.strategy == StrategyCommit {
		err = &refusedCommit{err}
	}
	return st, tree, err
}

// place puts a tree at a path, where git left an empty folder.
func (f *submoduleFetch) place(st llb.State, at string) {
	info := &llb.CopyInfo{CopyDirContentsOnly: true, CreateDestPath: true}
	if f.places == nil {
		f.places = llb.Copy(st, "/", "/"+at, info)
		return
	}
	f.places = f.places.Copy(st, "/", "/"+at, info)
}
