package parts

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
)

// Push makes a commit and pushes it. It returns the commit's full hash.
func (g *Gitea) Push(ctx context.Context, r Repo, c Commit) (string, error) {
	w, err := g.bench(r)
	if err != nil {
		return "", err
	}
	return w.push(ctx, g.RepoURL(r)+".git", c)
}

// Force moves a branch to a commit that Push made earlier, also backwards or sideways.
func (g *Gitea) Force(ctx context.Context, r Repo, branch, sha string) error {
	w, err := g.bench(r)
	if err != nil {
		return err
	}
	_, err = w.send(ctx, g.RepoURL(r)+".git", sha, "refs/heads/"+branch, true)
	return err
}

// Tag pushes an annotated tag of a commit and returns the hash of the tag object.
func (g *Gitea) Tag(ctx context.Context, r Repo, name, sha string) (string, error) {
	w, err := g.bench(r)
	if err != nil {
		return "", err
	}
	return w.tag(ctx, g.RepoURL(r)+".git", name, sha)
}

// SetHEAD points the repository's HEAD at a branch behind Gitea's back, whether or not the branch
// exists: an unborn HEAD.
func (g *Gitea) SetHEAD(ctx context.Context, r Repo, branch string) error {
	bare := &workbench{dir: filepath.Join(g.dir, "repositories", strings.ToLower(r.Owner),
		strings.ToLower(r.Name)+".git")}
	_, err := bare.git(ctx, nil, "symbolic-ref", "HEAD", "refs/heads/"+branch)
	return err
}

func (g *Gitea) bench(r Repo) (*workbench, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w, ok := g.benches[r]; ok {
		return w, nil
	}
	return nil, fmt.Errorf("repository %s was not made by CreateRepo", r)
}

// basicAuth gives git the administrator's credential for one server, without writing it into an
// argument or a file.
func basicAuth(url, user, password string) []string {
	value := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return []string{
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http." + url + "/.extraHeader",
		"GIT_CONFIG_VALUE_0=Authorization: Basic " + value,
	}
}
