package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"path/filepath"
	"sync"
	"time"
)

// GitHTTP serves repositories with git's own `git http-backend` on loopback: read-only, without
// credentials, any commit may be asked for.
type GitHTTP struct {
	git     string // the program
	dir     string
	url     string
	server  *http.Server
	mu      sync.Mutex
	benches map[string]*workbench // guarded by mu
	habits  GitHabits             // guarded by mu
}

// StartGitHTTP starts the server with its repositories below dir. It needs git.
func StartGitHTTP(dir string) (*GitHTTP, error) {
	path, err := locateSystem("git")
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("start the git server: %w", err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the git server: %w", err)
	}
	g := &GitHTTP{git: path, dir: root, url: "http://" + listener.Addr().String(),
		benches: map[string]*workbench{}}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = g.server.Serve(listener) }()
	return g, nil
}

// backend runs `git http-backend` for a request. CGI passes no Git-Protocol header on in the form
// that git requires (git-http-backend(1)), so each request gets a handler with its own environment;
// without it the answer would be of protocol version 0.
func (g *GitHTTP) backend(w http.ResponseWriter, r *http.Request, noUnborn bool) {
	env := append(gitEnv(g.dir), "GIT_PROJECT_ROOT="+g.dir, "GIT_HTTP_EXPORT_ALL=1",
		"GIT_PROTOCOL="+r.Header.Get("Git-Protocol"))
	if noUnborn {
		env = append(env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=lsrefs.unborn",
			"GIT_CONFIG_VALUE_0=ignore")
	}
	handler := cgi.Handler{
		Path: g.git, Args: []string{"http-backend"}, Dir: g.dir, Stderr: io.Discard, Env: env,
	}
	handler.ServeHTTP(w, r)
}

// CreateRepo makes an empty repository whose default branch is main. The zero format means sha1.
func (g *GitHTTP) CreateRepo(ctx context.Context, name string, format ObjectFormat) error {
	w, err := newWorkbench(ctx, filepath.Join(g.dir, name+".git"), format, nil)
	if err != nil {
		return err
	}
	for _, setting := range [][]string{
		{"symbolic-ref", "HEAD", "refs/heads/main"},
		{"config", "uploadpack.allowAnySHA1InWant", "true"},
		{"config", "uploadpack.allowFilter", "true"},
	} {
		if _, err := w.git(ctx, nil, setting...); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.benches[name] = w
	return nil
}

// Configure sets a git setting of a repository, such as uploadpack.allowAnySHA1InWant.
func (g *GitHTTP) Configure(ctx context.Context, name, setting, value string) error {
	w, err := g.bench(name)
	if err != nil {
		return err
	}
	_, err = w.git(ctx, nil, "config", setting, value)
	return err
}

// Push makes a commit in a repository and returns its full hash.
func (g *GitHTTP) Push(ctx context.Context, name string, c Commit) (string, error) {
	w, err := g.bench(name)
	if err != nil {
		return "", err
	}
	return w.commit(ctx, c)
}

// Force moves a branch to a commit that Push made earlier.
func (g *GitHTTP) Force(ctx context.Context, name, branch, sha string) error {
	w, err := g.bench(name)
	if err != nil {
		return err
	}
	_, err = w.git(ctx, nil, "update-ref", "refs/heads/"+branch, sha)
	return err
}

// Git runs git in a repository, for what the other methods don't do.
func (g *GitHTTP) Git(ctx context.Context, name string, args ...string) (string, error) {
	w, err := g.bench(name)
	if err != nil {
		return "", err
	}
	return w.git(ctx, nil, args...)
}

// SetHEAD points a repository's HEAD at a branch, whether or not the branch exists.
func (g *GitHTTP) SetHEAD(ctx context.Context, name, branch string) error {
	w, err := g.bench(name)
	if err != nil {
		return err
	}
	_, err = w.git(ctx, nil, "symbolic-ref", "HEAD", "refs/heads/"+branch)
	return err
}

func (g *GitHTTP) bench(name string) (*workbench, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w, ok := g.benches[name]; ok {
		return w, nil
	}
	return nil, fmt.Errorf("repository %s was not made by CreateRepo", name)
}

// URL is the server's address, without a slash at its end.
func (g *GitHTTP) URL() string { return g.url }

// RepoURL is the address of a repository as people write it, without ".git".
func (g *GitHTTP) RepoURL(name string) string { return g.url + "/" + name }

// Close ends the server and its open requests. It may be called again.
func (g *GitHTTP) Close() error {
	if err := g.server.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("end the git server: %w", err)
	}
	return nil
}
