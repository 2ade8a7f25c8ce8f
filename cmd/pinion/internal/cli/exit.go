package cli

import (
	"context"
	"errors"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion"
)

// Exit codes. A Go panic exits 2, so 2 is none of them.
const (
	exitOK           = 0
	exitGeneral      = 1
	exitNotFound     = 10
	exitUnauthorized = 11
	exitUnreachable  = 12
	exitNoBuilder    = 13
	exitStore        = 14
	exitVerification = 15
	exitLock         = 16
	exitBuild        = 20
	exitUsage        = 64
	exitCancelled    = 130
)

// kinds maps errors to codes; the first that fits decides. What another one may wrap stands behind it: the
// image store's errors come from it alone, whatever they wrap, while a builder's may have come through it.
func kinds() []struct {
	kind error
	code int
} {
	return []struct {
		kind error
		code int
	}{
		{pinion.ErrVerification, exitVerification},
		{pinion.ErrLockTimeout, exitLock},
		{pinion.ErrStore, exitStore},
		{pinion.ErrDelivery, exitStore},
		{pinion.ErrNoBuilder, exitNoBuilder},
		{pinion.ErrPlatform, exitNoBuilder},
		{pinion.ErrBuild, exitBuild},
		{pinion.ErrRefused, exitBuild},
		{pinion.ErrFetch, exitUnreachable},
		{pinion.ErrUnauthorized, exitUnauthorized},
		{pinion.ErrUnknownTemplate, exitNotFound},
		{pinion.ErrNotFound, exitNotFound},
		{pinion.ErrNotOnBranch, exitNotFound},
		{pinion.ErrRateLimited, exitUnreachable},
		{pinion.ErrUnavailable, exitUnreachable},
		{pinion.ErrInvalidAnswer, exitUnreachable},
		{pinion.ErrRegistry, exitUnreachable},
		{pinion.ErrInvalidInput, exitUsage},
		{context.Canceled, exitCancelled},
	}
}

// exitCode of an error. Whatever a call that was cancelled says, it was cancelled.
func exitCode(ctx context.Context, err error) int {
	var told *toldError
	var wrong *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &told):
		return told.code
	case errors.As(err, &wrong):
		return exitUsage
	case errors.Is(ctx.Err(), context.Canceled):
		return exitCancelled
	}
	for _, k := range kinds() {
		if errors.Is(err, k.kind) {
			return k.code
		}
	}
	if isManaged(err) {
		return exitNoBuilder
	}
	return exitGeneral
}

// toldError ends a run whose failure has been printed already.
type toldError struct{ code int }

func (e *toldError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func isTold(err error) bool {
	var told *toldError
	return errors.As(err, &told)
}
