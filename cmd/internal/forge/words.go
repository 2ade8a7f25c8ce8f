package forge

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/go-units"

	"git.moleculesai.app/molecule-ai/pinion"
)

// contextPrefix is what the contexts of all statuses begin with.
const contextPrefix = "pinion/"

// pullSuffix ends the contexts of pull requests. A template's name has no slash, so no branch has
// such a context, and neither hides the state of the other at a commit that both have.
const pullSuffix = "/pull"

func isHit(b pinion.BuildStatus) bool {
	return b.Image != nil && b.Image.Outcome == pinion.OutcomeHit
}

// statusOf returns what a build says of its commit.
func (r *Reporter) statusOf(b pinion.BuildStatus) status {
	s := status{revision: b.Revision, context: contextPrefix + b.Name, page: r.Page(b.ID)}
	if b.PullRequest != 0 {
		s.context += pullSuffix
	}
	took := b.Ended.Sub(b.Started).Round(time.Second).String()
	switch {
	case b.Ended.IsZero():
		s.state, s.description = pending, "building"
	case b.Failure != nil:
		s.state, s.description = failed(b, took)
	case isHit(b):
		s.state, s.description = success, "the image is there"
	default:
		s.state, s.description = success, "built in "+took
	}
	return s
}

// failed returns what a build says that came to nothing.
func failed(b pinion.BuildStatus, took string) (state, string) {
	class := b.Failure.Class
	switch {
	case class == pinion.ClassCancelled && !b.SupersededBy.IsZero():
		return cancelled, "superseded by " + b.SupersededBy.Short()
	case class == pinion.ClassCancelled:
		return cancelled, "cancelled after " + took
	}
	what := fmt.Sprintf("failed (%s) after %s", class, took)
	if b.Failure.Step != "" {
		what += ": " + b.Failure.Step
	}
	switch class {
	case pinion.ClassBuild, pinion.ClassStalled, pinion.ClassTimeLimit, pinion.ClassUsage:
		return failure, what
	}
	return faulty, what
}

// sizeOf returns the size of an image in words, "" if it is not known.
func (r *Reporter) sizeOf(ctx context.Context, img pinion.Image) string {
	if size := r.Size(ctx, img); size > 0 {
		return ", " + units.HumanSize(float64(size))
	}
	return ""
}
