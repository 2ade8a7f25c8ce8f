package pinion

import (
	"context"
	"errors"
)

// Class sorts failures by whose turn it is to do something. The exit codes of the command and the
// HTTP statuses of its server follow from it.
type Class string

// The classes of failures.
const (
	// ClassUsage: what was asked for, or a setting, makes no sense.
	ClassUsage Class = "usage"
	// ClassNotFound: not in the catalogue, no such repository or commit.
	ClassNotFound Class = "not-found"
	// ClassUnauthorized: a git server or registry wants another credential.
	ClassUnauthorized Class = "unauthorized"
	// ClassUnreachable: a git server or registry does not answer, or not with anything that can be
	// used.
	ClassUnreachable Class = "unreachable"
	// ClassNoBuilder: no builder answers, or it lacks the platform.
	ClassNoBuilder Class = "no-builder"
	// ClassStore: the image store does not answer or did not take the image.
	ClassStore Class = "image-store"
	// ClassVerification: what was delivered is not what was built.
	ClassVerification Class = "verification"
	// ClassLock: another process holds the lock for too long.
	ClassLock Class = "lock"
	// ClassBuild: the template's Dockerfile failed or was refused.
	ClassBuild Class = "build"
	// ClassStalled: nothing moved in the build for too long. It may go better the next time.
	ClassStalled Class = "stalled"
	// ClassCancelled: whoever asked did not want it any more.
	ClassCancelled Class = "cancelled"
	// ClassGeneral: anything else.
	ClassGeneral Class = "general"
)

// classes maps errors to classes; the first that fits decides. What another one may wrap stands
// behind it: the image store's errors come from it alone, whatever they wrap, while a builder's may
// have come through it.
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
		{ErrBuild, ClassBuild},
		{ErrRefused, ClassBuild},
		{ErrStalled, ClassStalled},
		{ErrFetch, ClassUnreachable},
		{ErrUnauthorized, ClassUnauthorized},
		{ErrUnknownTemplate, ClassNotFound},
		{ErrNotFound, ClassNotFound},
		{ErrNotOnBranch, ClassNotFound},
		{ErrRateLimited, ClassUnreachable},
		{ErrUnavailable, ClassUnreachable},
		{ErrInvalidAnswer, ClassUnreachable},
		{ErrRegistry, ClassUnreachable},
		{ErrInvalidInput, ClassUsage},
		{context.Canceled, ClassCancelled},
	}
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
