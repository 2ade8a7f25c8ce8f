package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// gitServer serves the template with a long history, and counts what it sends.
type gitServer struct {
	server *parts.GitHTTP
	*parts.Proxy
	revision string
}

// longHistory is 3,000 commits of 100 MB in all; a tree has 4 MB of them.
var longHistory = parts.History{
	Commits: 3000, Bytes: 33_333, Slots: 120,
	Files: []parts.File{parts.Text("Dockerfile", "FROM scratch\nCOPY data/0 /\n")},
}

const historyRepoPrefix = "history-"

func (s *stage) needHistory(ctx context.Context) (err error) {
	if s.history == nil {
		s.history, err = newGitServer(ctx, filepath.Join(s.dir, "history"))
	}
	return err
}

func newGitServer(ctx context.Context, dir string) (*gitServer, error) {
	server, err := parts.StartGitHTTP(dir)
	if err != nil {
		return nil, err
	}
	g := &gitServer{server: server}
	if err := g.fill(ctx); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (g *gitServer) fill(ctx context.Context) (err error) {
	if g.Proxy, err = parts.NewProxy(g.server.URL()); err != nil {
		return err
	}
	if err := g.server.CreateRepo(ctx, historyRepoPrefix+name, parts.SHA1); err != nil {
		return err
	}
	g.revision, err = g.server.PushHistory(ctx, historyRepoPrefix+name, longHistory)
	return err
}

func (g *gitServer) close() (err error) {
	if g.Proxy != nil {
		err = g.Proxy.Close()
	}
	return errors.Join(err, g.server.Close())
}

// prefix is the value for MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX.
func (g *gitServer) prefix() string { return g.URL() + "/" + historyRepoPrefix }

// coldFetch: the builder has nothing, and the image is next to nothing, so what is left is the
// fetch.
func coldFetch(ctx context.Context, a *arena) (race, error) {
	if err := a.needHistory(ctx); err != nil {
		return race{}, err
	}
	const builder = "fetching"
	d, err := a.startBuildkitd(ctx, builder)
	if err != nil {
		return race{}, err
	}
	before := func(ctx context.Context) error {
		a.history.Reset()
		return errors.Join(a.dropImages(ctx), pruneBuilder(ctx, d.Addr()))
	}
	sent := func(r *run) error {
		r.Counts = stats.Counts{"bytes from the git server": a.history.Bytes()}
		return nil
	}

	ours := a.pinion("--addr", d.Addr()).building(before).withoutCache()
	ours.name = "`pinion ensure " + name + " --addr ...`"
	ours.env = append(ours.env, "MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX="+a.history.prefix())
	url := a.history.prefix() + name + ".git#" + a.history.revision
	peer := a.buildx("build", "--builder", builder, "--load", "--tag", peerTag, url).withoutCache()
	peer.name += " `--load` of the pinned URL"
	peer.before = before
	ours.observe, peer.observe = sent, sent
	return race{ours: ours, peer: peer}, nil
}

// pruneBuilder empties a standalone buildkitd.
func pruneBuilder(ctx context.Context, addr string) error {
	c, err := client.New(ctx, addr)
	if err != nil {
		return err
	}
	return errors.Join(c.Prune(ctx, nil, client.PruneAll), c.Close())
}
