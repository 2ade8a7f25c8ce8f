package pinion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Errors that errors.Is finds in what this package returns. The packages that own them document
// them.
var (
	ErrUnknownTemplate = resolver.ErrUnknownTemplate
	ErrInvalidInput    = resolver.ErrInvalidInput
	ErrNotFound        = resolver.ErrNotFound
	ErrUnauthorized    = resolver.ErrUnauthorized
	ErrRateLimited     = resolver.ErrRateLimited
	ErrUnavailable     = resolver.ErrUnavailable
	ErrInvalidAnswer   = resolver.ErrInvalidAnswer
	ErrNotOnBranch     = resolver.ErrNotOnBranch
	ErrNoBuilder       = buildkit.ErrNoBuilder
	ErrPlatform        = buildkit.ErrPlatform
	ErrFetch           = buildkit.ErrFetch
	ErrLFS             = buildkit.ErrLFS
	ErrSubmodule       = buildkit.ErrSubmodule
	ErrRefused         = buildkit.ErrRefused
	ErrBuild           = buildkit.ErrBuild
	ErrSource          = buildkit.ErrSource
	ErrExhausted       = buildkit.ErrExhausted
	ErrDelivery        = buildkit.ErrDelivery
	ErrStalled         = buildkit.ErrStalled
	ErrTimeLimit       = buildkit.ErrTimeLimit
	ErrChanged         = buildkit.ErrChanged
	ErrLockTimeout     = cache.ErrLockTimeout

	// ErrStore: the image store does not answer, or did not do what it was asked.
	ErrStore = imagestore.ErrStore
	// ErrVerification: an image was delivered and is not what was built.
	ErrVerification = verify.ErrVerification
	// ErrRegistry: the registry did not give the image in registry mode, or did not take it.
	// [ErrNotFound], [ErrUnauthorized] or [ErrUnavailable] beside it says why.
	ErrRegistry = imagestore.ErrRegistry
)

// StepError places a failed build in the Dockerfile; errors.As finds it beneath [ErrBuild].
type StepError = buildkit.StepError

// Origin says which side failed.
type Origin string

// The sides that an [Error] can come from.
const (
	OriginCatalogue Origin = "catalogue"
	OriginUsage     Origin = "usage" // the call itself, or what was configured for it
	OriginGit       Origin = "git server"
	OriginRegistry  Origin = "registry"
	OriginBuildKit  Origin = "buildkit"
	OriginDocker    Origin = "docker"
	OriginLayout    Origin = "oci layout"
	OriginCache     Origin = "cache"
)

// Error is what [Orchestrator.Ensure] and its siblings return, except for a [ContextError].
type Error struct {
	// Name of the template; empty where the call was about none.
	Name   string
	Origin Origin
	// Checks are what BuildKit remarked on the Dockerfile before a build failed.
	Checks []BuildCheck
	Err    error
}

func (e *Error) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("%s: %v", e.Origin, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Name, e.Origin, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Warnings returns the first of e.Checks, each in one line, and how many there are besides.
func (e *Error) Warnings() []string { return checkWarnings(e.Checks) }

// PushError is a push that failed after other names had been pushed; errors.As finds it.
type PushError struct {
	Pushed []Pushed
	Err    error
}

func (e *PushError) Error() string {
	text := e.Err.Error() + "; pushed before that:"
	for _, p := range e.Pushed {
		text += " " + p.Reference + "@" + p.Digest
	}
	return text
}

func (e *PushError) Unwrap() error { return e.Err }

// afterPushes returns the error of a push that came after others.
func afterPushes(pushed []Pushed, err error) error {
	if len(pushed) == 0 {
		return err
	}
	return &PushError{Pushed: pushed, Err: err}
}

// ContextError is what a call returns if its context ended first. [errors.Is] finds
// [context.DeadlineExceeded] or [context.Canceled] in it. [ClassOf] is [ClassCancelled] for the
// latter alone; for a deadline it is [ClassGeneral].
type ContextError struct {
	// Name of the template.
	Name string
	// Doing describes what the build had begun last, for example "step 5 of 12, [2/3] RUN make";
	// empty before a build.
	Doing string
	// After is the time since the call began.
	After time.Duration
	Err   error
}

func (e *ContextError) Error() string {
	text := fmt.Sprintf("%s: %v after %s", e.Name, e.Err, e.After.Round(time.Millisecond))
	if e.Doing != "" {
		text += ": " + e.Doing
	}
	return text
}

func (e *ContextError) Unwrap() error { return e.Err }

// failCall is fail for a call that began at begun and was about one template. doing is what its
// build had begun last.
func failCall(ctx context.Context, name, doing string, begun time.Time, err error) error {
	err = fail(ctx, name, err)
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	return &ContextError{Name: name, Doing: doing, After: time.Since(begun), Err: err}
}

// fail names the template and the side that failed, and cuts a text that is longer than a screen.
// The packages beneath have redacted what they return.
func fail(ctx context.Context, name string, err error) error {
	var done *Error
	if errors.As(err, &done) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	return &Error{Name: name, Origin: originOf(err), Err: errtext.Short(err)}
}

// logLong logs an error whose text is too long for a result.
func logLong(log *slog.Logger, name string, err error) {
	if errtext.IsLong(err) {
		log.Error(fmt.Sprintf("local-build: %s: %v", name, err), LogInResult, true)
	}
}

func originOf(err error) Origin {
	var atGit *resolver.Error
	var atBuilder *buildkit.Error
	var atStore *imagestore.Error
	var atCache *cache.Error
	switch {
	case errors.Is(err, ErrRegistry):
		return OriginRegistry
	case errors.Is(err, ErrUnknownTemplate), errors.Is(err, ErrInvalidInput) &&
		errors.As(err, &atGit):
		return OriginCatalogue
	case errors.Is(err, ErrInvalidInput):
		return OriginUsage
	case errors.As(err, &atStore) && atStore.Origin == imagestore.OriginLayout:
		return OriginLayout
	case errors.Is(err, ErrStore), errors.Is(err, ErrVerification):
		return OriginDocker
	case errors.As(err, &atGit):
		return OriginGit
	case errors.As(err, &atBuilder):
		return OriginBuildKit
	case errors.As(err, &atCache), errors.Is(err, ErrLockTimeout):
		return OriginCache
	case errors.As(err, &atStore):
		return OriginDocker
	default:
		return OriginBuildKit
	}
}

// Class sorts failures by who can correct them. Exit codes and HTTP statuses follow from it.
type Class string

// The classes of failures.
const (
	// ClassUsage: what was asked for, or a setting, makes no sense.
	ClassUsage Class = "usage"
	// ClassNotFound: not in the catalogue, no such repository or commit.
	ClassNotFound Class = "not-found"
	// ClassUnauthorized: a git server or registry requires another credential.
	ClassUnauthorized Class = "unauthorized"
	// ClassUnreachable: a git server, a registry or another server that a Dockerfile names does not
	// answer, or not with anything that can be used.
	ClassUnreachable Class = "unreachable"
	// ClassNoBuilder: no builder answers, or it lacks the platform, disk or memory.
	ClassNoBuilder Class = "no-builder"
	// ClassStore: the image store does not answer or did not take the image.
	ClassStore Class = "image-store"
	// ClassVerification: what was delivered is not what was built.
	ClassVerification Class = "verification"
	// ClassLock: another process holds the lock for too long.
	ClassLock Class = "lock"
	// ClassBuild: the template's Dockerfile failed or was refused.
	ClassBuild Class = "build"
	// ClassStalled: nothing moved in a step of the build for too long. It may go better the next
	// time. If the builder waits for a server, the class is ClassUnreachable.
	ClassStalled Class = "stalled"
	// ClassTimeLimit: the build took longer than its time limit. It may go better the next time,
	// since finished steps are cached.
	ClassTimeLimit Class = "time-limit"
	// ClassCancelled: the caller cancelled the request.
	ClassCancelled Class = "cancelled"
	// ClassGeneral: anything else.
	ClassGeneral Class = "general"
)

// classes maps errors to classes; the first that fits decides. An error may wrap errors of other
// kinds, so the kinds are in an order: a store's error is the store's whatever it wraps, while a
// builder's error may wrap one of a registry or of the store.
func classes() []struct {
	kind  error
	class Class
} {
	return []struct {
		kind  error
		class Class
	}{
		{ErrVerification, ClassVerification},
		{ErrChanged, ClassVerification},
		{ErrLockTimeout, ClassLock},
		{ErrStore, ClassStore},
		{ErrDelivery, ClassStore},
		{ErrNoBuilder, ClassNoBuilder},
		{ErrPlatform, ClassNoBuilder},
		{ErrExhausted, ClassNoBuilder},
		{ErrSource, ClassUnreachable},
		{ErrBuild, ClassBuild},
		{ErrRefused, ClassBuild},
		{ErrFetch, ClassUnreachable},
		{ErrUnauthorized, ClassUnauthorized},
		{ErrUnknownTemplate, ClassNotFound},
		{ErrNotFound, ClassNotFound},
		{ErrNotOnBranch, ClassNotFound},
		{ErrRateLimited, ClassUnreachable},
		{ErrUnavailable, ClassUnreachable},
		{ErrInvalidAnswer, ClassUnreachable},
		{ErrLFS, ClassUnreachable},
		{ErrSubmodule, ClassUnreachable},
		{ErrRegistry, ClassUnreachable},
		{ErrStalled, ClassStalled},
		{ErrTimeLimit, ClassTimeLimit},
		{ErrInvalidInput, ClassUsage},
		{context.Canceled, ClassCancelled},
	}
}

// Message returns one sentence about a failure of the class that may be shown to any user: it is
// fixed, and so holds no name, address, path or output.
func (c Class) Message() string {
	if text, ok := messages[c]; ok {
		return text
	}
	return messages[ClassGeneral]
}

var messages = map[Class]string{
	ClassUsage:        "The request or a setting is not valid.",
	ClassNotFound:     "There is no such template, repository, commit or image.",
	ClassUnauthorized: "A git server or registry did not accept the credentials.",
	ClassUnreachable:  "A git server, registry or download is not available. Try again later.",
	ClassNoBuilder:    "The builder is not available. Try again later.",
	ClassStore:        "The image store is not available. Try again later.",
	ClassVerification: "The image is not the one that was built, so it is not used.",
	ClassLock:         "Another process is building this image. Try again later.",
	ClassBuild:        "The template's build failed. It needs a change of the template.",
	ClassStalled:      "The build made no progress for too long. Try again later.",
	ClassTimeLimit:    "The build took longer than its time limit. Try again later.",
	ClassCancelled:    "The build was cancelled.",
	ClassGeneral:      "The image could not be made.",
}

// ClassOf sorts an error of this package; nil has no class.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	for _, k := range classes() {
		if errors.Is(err, k.kind) {
			return k.class
		}
	}
	return ClassGeneral
}

// failureEvent is the only event of a call that failed before its subject was known.
func (o *Orchestrator) failureEvent(ctx context.Context, name string, err error) Event {
	return Event{ID: 1, Type: EventFailed, Time: time.Now().UTC(), Name: name,
		Failure: failureOf(ctx, err, o.clean)}
}
