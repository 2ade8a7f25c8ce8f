package pinion

import (
	"context"
	"fmt"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

// head says that the caller wants what the branch is at, and not something of its own choice.
func (a ask) head() bool { return a.revision.IsZero() && !a.local }

// runTree is the way of a request for a working tree: its digest stands where else the commit does.
func (j *job) runTree(ctx context.Context) (*Call, error) {
	if !j.ask.revision.IsZero() {
		return nil, fmt.Errorf("%w: a commit and a working tree were asked for; give one of them",
			ErrInvalidInput)
	}
	begun := time.Now()
	var err error
	j.tree, err = buildkit.ReadTree(ctx, j.ask.path, buildkit.TreeRequest{
		Subdir: j.template.Subdir, Dockerfile: j.template.Dockerfile,
		AllowedFrontends: j.o.frontends(),
	})
	if err != nil {
		return nil, err
	}
	j.recipe = j.recipe.ofTree(j.tree.Digest().String())
	j.durations.Lookup = ms(time.Since(begun))
	resolved := Event{Type: EventResolved, Name: j.template.Name, Reference: j.recipe.reference()}
	return j.settle(ctx, resolved, j.bypass(), j.openHistory(), nil)
}

// source names what is built, for people.
func (j *job) source() string {
	if j.tree != nil {
		return fmt.Sprintf("the working tree %s (%s)", j.ask.path, j.recipe.short())
	}
	return fmt.Sprintf("%s#%s", j.template.Remote, j.recipe.short())
}

// repository is empty for a working tree, which need not be of any.
func (j *job) repository() string {
	if j.tree != nil {
		return ""
	}
	return j.recipe.Repository
}
