package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// arena is where races are run: an engine, and what belongs to it.
type arena struct {
	*stage
	dir       string
	engine    *parts.Dockerd
	api       *client.Client
	host      string           // the engine's address, for its clients
	version   string           // the engine's, with its storage driver
	buildkitd *parts.Buildkitd // nil until a race needs it
	own       []func() error   // ends what races have for themselves
	solved    map[string]bool  // by the name of a builder: it has the big image
}

// standalone is buildx's name for the arena's buildkitd.
const standalone = "standalone"

func (s *stage) openArena(ctx context.Context, flavour parts.Flavour) (*arena, error) {
	a := &arena{stage: s, dir: filepath.Join(s.dir, string(flavour)), solved: map[string]bool{}}
	if err := a.setUp(ctx, flavour); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *arena) setUp(ctx context.Context, flavour parts.Flavour) (err error) {
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if a.engine, err = parts.StartDockerd(starting, filepath.Join(a.dir, "engine"),
		flavour); err != nil {
		return err
	}
	a.host = a.engine.Host()
	if a.api, err = client.New(client.WithHost(a.host)); err != nil {
		return err
	}
	info, err := a.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return err
	}
	a.version = fmt.Sprintf("%s, %s", info.Info.ServerVersion, info.Info.Driver)
	return nil
}

// play runs one scenario. The error wraps parts.ErrMissing where the machine cannot run it.
func (a *arena) play(ctx context.Context, sc scenario, runs int) (_ stats.Result, err error) {
	race, err := sc.prepare(ctx, a)
	if err != nil {
		return stats.Result{}, err
	}
	race.warmups, race.runs, race.aim = sc.warmups, sc.runs, sc.aim
	if runs > 0 {
		race.runs = runs
	}
	ours, peer, err := race.run(ctx)
	if race.end != nil {
		err = errors.Join(err, race.end())
	}
	if err != nil {
		return stats.Result{}, err
	}
	return race.result(sc.name, string(a.engine.Flavour()), ours, peer), nil
}

// needBuildkitd starts a standalone buildkitd for the races on this engine.
func (a *arena) needBuildkitd(ctx context.Context) (err error) {
	if a.buildkitd == nil {
		a.buildkitd, err = a.startBuildkitd(ctx, standalone)
	}
	return err
}

// startBuildkitd starts a buildkitd that ends with the arena, and makes it known to buildx under
// its name.
func (a *arena) startBuildkitd(ctx context.Context, name string) (*parts.Buildkitd, error) {
	if err := parts.Available(ctx, parts.NameBuildkitd); err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	d, err := parts.StartBuildkitd(starting, filepath.Join(a.dir, name), parts.BuildkitdOptions{})
	if err != nil {
		return nil, err
	}
	a.own = append(a.own, d.Close)
	_, err = a.buildx("create", "--name", name, "--driver", "remote", d.Addr()).once(ctx)
	return d, err
}

// env is the environment of all contestants. It has none of the user's settings, and all files are
// written below the arena's folder.
func (a *arena) env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + a.dir, "LC_ALL=C",
		"DOCKER_HOST=" + a.host,
		"DOCKER_CONFIG=" + filepath.Join(a.stage.dir, "docker"),
		"BUILDX_CONFIG=" + filepath.Join(a.dir, "buildx"),
		// Pinion attests nothing unless asked to. Equal work for both.
		"BUILDX_NO_DEFAULT_ATTESTATIONS=1",
		"MOLECULE_LOCAL_BUILD_CACHE=" + a.cacheDir(),
		"PINION_WAIT_CACHE=1", // nothing of one run goes on in the next
		"MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX=" + a.template.prefix(),
		// The peers save no cache either.
		"PINION_CACHE=off",
		// Not "native", which asks the engine.
		"MOLECULE_IMAGE_PLATFORM=linux/" + runtime.GOARCH,
	}
}

func (a *arena) cacheDir() string { return filepath.Join(a.dir, "cache") }

// forget makes Pinion forget what it built, as if for the first time. Engine and builder keep what
// they have.
func (a *arena) forget(context.Context) error { return os.RemoveAll(a.cacheDir()) }

// dropImages takes all images from the engine, and what Pinion knows of them. Builders keep what
// they have.
func (a *arena) dropImages(ctx context.Context) error {
	if err := a.forget(ctx); err != nil {
		return err
	}
	all := client.ImagePruneOptions{Filters: make(client.Filters).Add("dangling", "false")}
	_, err := a.api.ImagePrune(ctx, all)
	return err
}

// prune empties the engine: no image and nothing in its builder's cache.
func (a *arena) prune(ctx context.Context) error {
	if err := a.dropImages(ctx); err != nil {
		return err
	}
	_, err := a.api.BuildCachePrune(ctx, client.BuildCachePruneOptions{All: true})
	return err
}

func (a *arena) close() (err error) {
	for _, end := range a.own {
		err = errors.Join(err, end())
	}
	if a.api != nil {
		err = errors.Join(err, a.api.Close())
	}
	if a.engine != nil {
		err = errors.Join(err, a.engine.Close())
	}
	return errors.Join(err, os.RemoveAll(a.dir))
}
