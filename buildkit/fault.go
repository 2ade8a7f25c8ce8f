package buildkit

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

// killed is the exit code of a process that the kernel ended, for want of memory as a rule.
const killed = 137

// faultOf returns the kind of a failed build. vertex is the name of the vertex that failed by
// itself, if one did. The kinds are
//   - [ErrBuild]: the template, which is a step's exit code or what the Dockerfile says;
//   - [ErrSource]: an image or a file that the Dockerfile takes from elsewhere is not available;
//   - [ErrExhausted]: the builder has no more disk or memory;
//   - [ErrNoBuilder]: the builder cancelled the build.
//
// Exit codes and gRPC codes decide where there are some. BuildKit returns what registries, servers
// and its own files answered as text alone; TestFaultOf has
// examples.
func faultOf(vertex string, err error) error {
	text := strings.TrimSpace(err.Error())
	if code, known := exitCode(err); known {
		if exhausted(text) || code == killed && !reportsMemory(err) {
			return ErrExhausted
		}
		return ErrBuild
	}
	switch {
	case grpcerrors.Code(err) == codes.Canceled:
		return ErrNoBuilder
	case strings.Contains(text, "dockerfile parse error"):
		return ErrBuild // the rest may be the template's words
	case exhausted(text):
		return ErrExhausted
	case unavailable(vertex, text):
		return ErrSource
	}
	return ErrBuild
}

// wantsGitDir reports whether a build failed since the repository's .git is not in the context: by
// a COPY of it, or by git or a tool that runs it (git, setup.c).
func wantsGitDir(step *StepError) bool {
	if noGitDir().MatchString(step.Err.Error()) {
		return true
	}
	return slices.ContainsFunc(step.Log, func(line string) bool {
		return strings.Contains(line, "not a git repository")
	})
}

// saysExhausted reports whether a step failed for want of the builder's disk or memory by the last
// that it printed: a full disk fails the step's own programs, and without a memory controller of
// version 2 BuildKit does not see that the kernel killed one of them. A step can print that for
// other reasons. All that follows is that its commit is tried again later.
func saysExhausted(step *StepError) bool {
	const lastLines = 10
	for _, line := range step.Log[max(0, len(step.Log)-lastLines):] {
		if stepExhausted().MatchString(line) ||
			step.ExitCode == killed && stepKilled().MatchString(line) {
			return step.ExitCode != 0
		}
	}
	return false
}

// advised returns err in the situation of its kind, if there is one.
func advised(kind error, endpoint string, err error) error {
	switch {
	case errors.Is(kind, ErrExhausted):
		return errdef.In(errdef.BuilderExhausted, endpoint, err)
	case errors.Is(kind, ErrSource):
		return errdef.In(errdef.SourceUnavailable, "", err)
	}
	return err
}

// reportsMemory reports whether the builder would have said that a step ended for want of memory.
// Builders that return no typed exit code do not.
func reportsMemory(err error) bool {
	_, typed := errors.AsType[*gatewaypb.ExitError](err)
	return typed
}

// exhausted reports whether an error of the builder ends in one of its own limits, or whether its
// git met one. What a step prints is no part of the text.
func exhausted(text string) bool {
	if strings.HasSuffix(text, "exit status 128") && stepExhausted().MatchString(text) {
		return true
	}
	for _, end := range []string{"no space left on device", "disk quota exceeded",
		"cannot allocate memory", "too many open files", "input/output error"} {
		if strings.HasSuffix(text, ": "+end) {
			return true
		}
	}
	return false
}

// waitsFor returns the kind of failure of a vertex of that name that waits for a server for ever,
// or nil if it doesn't wait for one.
func waitsFor(vertex string) error {
	switch {
	case strings.HasPrefix(vertex, fetchPrefix):
		return ErrFetch
	case imageStep().MatchString(vertex), addStep().MatchString(vertex):
		return ErrSource
	}
	return nil
}

// isEmptyTree reports whether a fetch failed because the commit has no files: then `git checkout
// REV -- .` finds nothing and exits with 1. For a commit that is missing it exits with 128. Docker
// 20.10 returns the exit code alone.
func isEmptyTree(text string) bool {
	return strings.Contains(text, "failed to checkout remote ") &&
		(strings.Contains(text, "pathspec '.' did not match any file") ||
			strings.HasSuffix(text, ": exit status 1"))
}

// sourcePauses are the times to wait before a build is tried again whose source or git server was
// not available, about seven seconds. BuildKit's own retries come on top.
var sourcePauses = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

// gitAway reports whether the builder could not fetch the commit since the git server did not
// answer, or answered 429 or 5xx.
func (s *solve) gitAway() bool {
	return s.failed != nil && s.failed.Op == "fetch" && errors.Is(s.failed.Kind, ErrFetch) &&
		gitFault().MatchString(s.failed.Error())
}

// mayRetrySource reports whether the build failed since a source, a git server or an LFS server
// was not available, and has lost nothing: what its steps made is in the builder's cache, unless
// the cache was not to be used.
func (s *solve) mayRetrySource(err error) bool {
	if s.failed != nil {
		ours := errors.Is(s.failed.Kind, ErrLFS) || errors.Is(s.failed.Kind, ErrSubmodule)
		return s.gitAway() || ours && errors.Is(s.failed, errdef.ErrUnavailable)
	}
	return !s.req.NoCache && s.solved.IsZero() && !connectionLost(err) &&
		errors.Is(faultOf(s.statuses.failed.name, err), ErrSource)
}

// wait waits for about that time and reports whether ctx goes on.
func wait(ctx context.Context, pause time.Duration) bool {
	spread := 0.75 + rand.Float64()/2 //nolint:gosec // no secret
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(float64(pause) * spread)):
		return true
	}
}
