package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// peerTag is the peers' name for the image.
const peerTag = "bench/peer:latest"

// Texts in the outputs that tell what was done.
const (
	found = "using locally-built image" // by Pinion, found or built
	built = "local-build: build done"   // by Pinion, built
	// by BuildKit's plain progress, for each step that was not run
	cached = "CACHED"
)

// pinion is a call of our command line.
func (a *arena) pinion(flags ...string) contestant {
	args := append([]string{"ensure", name}, flags...)
	return contestant{
		name: "`pinion " + strings.Join(args, " ") + "`",
		by:   a.programs.launcher, args: append([]string{a.programs.pinion}, args...), env: a.env(),
		want: []string{found},
	}
}

// building returns a call that must build.
func (c contestant) building(before func(context.Context) error) contestant {
	c.before, c.want = before, append(c.want, built)
	return c
}

// usingCache returns a contestant that must use BuildKit's cache.
func (c contestant) usingCache() contestant {
	c.want = append(c.want, cached)
	return c
}

// withoutCache returns a contestant that must run every step.
func (c contestant) withoutCache() contestant {
	c.unwanted = append(c.unwanted, cached)
	return c
}

// buildx is a call of buildx: as Docker's plugin, or where there is no client of Docker by itself.
func (a *arena) buildx(args ...string) contestant {
	c := contestant{name: "`docker buildx build`", by: a.programs.launcher,
		args: append([]string{a.programs.docker, "buildx"}, args...), env: a.env()}
	if a.programs.docker == "" {
		c.name, c.args = "`buildx build`", append([]string{a.programs.buildx}, args...)
	}
	return c
}

// script is a shell script; its words are in $1, $2, ...
func (a *arena) script(name, text string, words ...string) contestant {
	return contestant{name: name, by: a.programs.launcher,
		args: append([]string{"/bin/sh", "-euc", text, "sh"}, words...), env: a.env()}
}

// hitScript asks Gitea's API for the commit, takes it out of the JSON and asks the engine for the
// image, as a program without Pinion does.
const hitScript = `
sha=$(curl -fsS "$1" | sed -n 's/.*"commit":{"id":"\([0-9a-f]*\)".*/\1/p')
docker image inspect --format '{{.Id}}' "$2$(echo "$sha" | cut -c 1-12)$3"
`

func hit(ctx context.Context, a *arena) (race, error) {
	if err := needAll("curl", "sed", "cut", "docker"); err != nil {
		return race{}, err
	}
	reference, err := a.reference(ctx)
	if err != nil {
		return race{}, err
	}
	before, after, ok := strings.Cut(reference, a.template.revision[:12])
	if !ok {
		return race{}, fmt.Errorf("reference %q is not of commit %s", reference,
			a.template.revision)
	}
	ours := a.pinion()
	ours.want = append(ours.want, reference)
	ours.unwanted = []string{built}
	peer := a.script("script: `curl` the branches API, `docker image inspect`", hitScript,
		a.template.branchAPI(), before, after)
	peer.want = []string{"sha256:"}
	return race{ours: ours, peer: peer}, nil
}

// reference builds the image if need be.
func (a *arena) reference(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, a.programs.pinion, "ensure", name, "--progress", "quiet")
	cmd.Env = a.env()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("pinion ensure: %w%s", err, stderrOf(err))
	}
	return strings.TrimSpace(string(out)), nil
}

func cachedBuild(_ context.Context, a *arena) (race, error) {
	ours := a.pinion().building(a.forget).usingCache()
	peer := a.buildx("build", "--builder", "default", "--tag", peerTag,
		a.template.pinnedURL()).usingCache()
	peer.name += " of the pinned URL"
	return race{ours: ours, peer: peer}, nil
}

func loadedBuild(ctx context.Context, a *arena) (race, error) {
	if err := a.needBuildkitd(ctx); err != nil {
		return race{}, err
	}
	ours := a.pinion("--addr", a.buildkitd.Addr()).building(a.forget).usingCache()
	ours.name = "`pinion ensure " + name + " --addr ...`"
	peer := a.buildx("build", "--builder", standalone, "--load", "--tag", peerTag,
		a.template.pinnedURL()).usingCache()
	peer.name += " `--load` from buildkitd"
	return race{ours: ours, peer: peer}, nil
}

// cloneScript is the way without git contexts: a clone, and a build of it.
const cloneScript = `
git clone --quiet --depth 1 "$1" "$2"
docker build --tag "$3" "$2"
`

func coldBuild(_ context.Context, a *arena) (race, error) {
	if err := needAll("git", "docker"); err != nil {
		return race{}, err
	}
	clone := filepath.Join(a.dir, "clone")
	ours := a.pinion().building(a.prune).withoutCache()
	peer := a.script("`git clone --depth 1`, `docker build`", cloneScript, a.template.gitURL(),
		clone, peerTag).withoutCache()
	peer.before = func(ctx context.Context) error {
		if err := os.RemoveAll(clone); err != nil {
			return err
		}
		return a.prune(ctx)
	}
	return race{ours: ours, peer: peer}, nil
}

// needAll says which of the programs that a script calls are not there.
func needAll(programs ...string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("%w: %s", parts.ErrMissing, p)
		}
	}
	return nil
}

func stderrOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "\n" + string(exit.Stderr)
	}
	return ""
}
