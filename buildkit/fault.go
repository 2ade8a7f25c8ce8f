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
	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
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

// exhausted reports whether an error of the builder ends in one of its own limits. What a step
// prints is no part of the text.
func exhausted(text string) bool {
	for _, end := range []string{"no space left on device", "disk quota exceeded",
		"cannot allocate memory", "too many open files", "input/output error"} {
		if strings.HasSuffix(text, ": "+end) {
			return true
		}
	}
	return false
}

// The patterns are compiled at their first use: only a failed build needs them.
var (
	// imageStep has the names of vertices that only ask a registry.
	imageStep = lazy.Regexp(`^(\[[^\]]*\] )?` +
		`(load metadata for|resolve image config for|FROM) |^docker-image://`)
	// addStep has the names of vertices that download what an ADD names.
	addStep = lazy.Regexp(`^(\[[^\]]*\] ADD (--\S+ )*)?(https?|git|ssh)://|` +
		`^\[[^\]]*\] ADD (--\S+ )*git@`)
	// noGitDir has the error of a COPY from .git, as of today and of Docker 20.10.
	noGitDir = lazy.Regexp(`/\.git(/[^":]*)?"?: (not found|no such file or directory)$`)
	// lastingFault has what registries answer about an image that is not there or not for the
	// builder, and what is wrong with an image that is there.
	lastingFault = lazy.Regexp(`: not found$|authorization failed$|: (401|403) |` +
		`\b(access denied|denied:|unauthorized:)|no match for platform|invalid reference|` +
		`\bmedia type .* is no longer supported`)
	// passingFault has what BuildKit 0.8 to 0.34 say if a server answers 429 or 5xx, or not at all.
	passingFault = lazy.Regexp(`(invalid response status|unexpected status.*:)` +
		` (429|5\d\d)\b|` +
		`(connection refused|connection reset by peer|no such host|server misbehaving|` +
		`i/o timeout|` +
		`network is unreachable|no route to host|broken pipe|EOF|TLS handshake timeout|` +
		`temporary failure in name resolution|deadline exceeded|` +
		`\(Client.Timeout exceeded while awaiting headers\)|` +
		`server gave HTTP response to HTTPS client)$|: (tls|x509): |\btoomanyrequests:`)
	// gitFault has what git 2.50 and curl say of a server that does not answer for now. BuildKit
	// passes it on as git's output.
	gitFault = lazy.Regexp(`Could not resolve (host|proxy): |Failed to connect to |` +
		`Connection (refused|reset by peer|timed out)|Operation timed out|` +
		`Empty reply from server|The requested URL returned error: (429|5\d\d)\b|` +
		`RPC failed; (curl|HTTP (429|5\d\d))\b|early EOF|the remote end hung up unexpectedly`)
	// gitTLS has what git and curl say of a server whose certificate they don't accept.
	gitTLS = lazy.Regexp(`server certificate verification failed|SSL certificate problem|` +
		`(SSL|TLS|gnutls_handshake).* (error|failed)`)
)

// unavailable reports whether the vertex of that name failed since a server was not available.
func unavailable(vertex, text string) bool {
	switch {
	case vertex == "", strings.Contains(vertex, "] RUN "):
		return false
	case imageStep().MatchString(vertex):
		return !lastingFault().MatchString(text)
	case strings.HasSuffix(text, "exit status 128"): // git's, for an ADD of a repository
		return gitFault().MatchString(text) || gitTLS().MatchString(text)
	}
	return passingFault().MatchString(text)
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
