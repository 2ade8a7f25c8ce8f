package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// The slow template has steps that take a second or so each and leave next to nothing, and a file
// that each commit changes.
const (
	slowSteps      = 3
	slowBytes      = 200_000_000 // hashed by a step
	slowRepoPrefix = "slow-"
)

// newCommit builds a new commit on an empty builder, with the saved build cache of the previous
// commit and without it.
func newCommit(ctx context.Context, a *arena) (race, error) {
	if err := a.needCacheFlag(ctx); err != nil {
		return race{}, err
	}
	t, err := newSlow(ctx, a.gitea)
	if err != nil {
		return race{}, err
	}
	d, err := a.startBuildkitd(ctx, "empty")
	if err != nil {
		return race{}, err
	}
	before := func(ctx context.Context) error {
		return errors.Join(t.change(ctx), pruneBuilder(ctx, d.Addr()))
	}
	asking := func(where string) contestant {
		c := a.pinion("--addr", d.Addr(), "--cache", where).building(before)
		c.name = "`pinion ensure " + name + " --addr ... --cache " + where + "`"
		c.env = append(c.env, "MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX="+t.prefix())
		return c
	}
	return race{ours: asking("local").usingCache(), peer: asking("off").withoutCache()}, nil
}

func newSlow(ctx context.Context, g *parts.Gitea) (*changing, error) {
	var steps []string
	for step := range slowSteps {
		steps = append(steps, fmt.Sprintf("RUN head -c %d /dev/zero | sha256sum > /sum-%d",
			slowBytes, step))
	}
	return newChanging(ctx, g, slowRepoPrefix, steps)
}

// needCacheFlag leaves the scenario out where Pinion keeps no BuildKit cache by commit.
func (a *arena) needCacheFlag(ctx context.Context) error {
	help, err := exec.CommandContext(ctx, a.programs.pinion, "ensure", "--help").CombinedOutput()
	if err == nil && !strings.Contains(string(help), "--cache ") {
		err = fmt.Errorf("%w: `pinion ensure --cache`", parts.ErrMissing)
	}
	return err
}
