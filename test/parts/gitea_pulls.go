package parts

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
)

// Fork makes a fork of a sha1 repository that belongs to a user. Push makes commits in it on top of
// those of the repository.
func (g *Gitea) Fork(ctx context.Context, u User, r Repo) (Repo, error) {
	if err := g.Settle(ctx, r); err != nil {
		return Repo{}, err
	}
	if err := g.call(ctx, u, http.MethodPost, "/repos/"+r.String()+"/forks", map[string]any{},
		nil); err != nil {
		return Repo{}, err
	}
	from, err := g.bench(r)
	if err != nil {
		return Repo{}, err
	}
	dir := filepath.Join(g.dir, "benches", unique("r")+".git")
	w, err := newWorkbench(ctx, dir, SHA1, from.env)
	if err == nil {
		_, err = w.git(ctx, nil, "fetch", "--quiet", from.dir, "refs/heads/*:refs/heads/*")
	}
	if err != nil {
		return Repo{}, err
	}
	fork := Repo{Owner: u.Name, Name: r.Name}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.benches[fork] = w
	return fork, nil
}

// OpenPull opens a pull request of a user for the branch main and returns its number. The head is a
// branch of the repository, or <owner>:<branch> of a fork.
func (g *Gitea) OpenPull(ctx context.Context, u User, r Repo, head string) (int, error) {
	if err := g.Settle(ctx, r); err != nil {
		return 0, err
	}
	var made struct{ Number int }
	err := g.call(ctx, u, http.MethodPost, "/repos/"+r.String()+"/pulls",
		map[string]any{"title": "change", "head": head, "base": "main"}, &made)
	return made.Number, err
}

// SetPullState opens or closes a pull request: the state is open or closed.
func (g *Gitea) SetPullState(ctx context.Context, r Repo, number int, state string) error {
	return g.Call(ctx, http.MethodPatch, fmt.Sprintf("/repos/%s/pulls/%d", r, number),
		map[string]any{"state": state}, nil)
}
