package cli

import (
	"context"
	"errors"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
)

// Exit codes; those of pinion.Class.ExitCode by name.
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
	// docker run's own for an engine that did not create or start the container
	exitContainer = 125
	exitCancelled = 130
)

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
	if _, ok := errors.AsType[*container.Error](err); ok {
		return exitContainer
	}
	if code := pinion.ClassOf(err).ExitCode(); code != exitGeneral || !isManaged(err) {
		return code
	}
	return exitNoBuilder
}

// toldError ends a run whose failure has been printed already.
type toldError struct{ code int }

func (e *toldError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func isTold(err error) bool {
	var told *toldError
	return errors.As(err, &told)
}
