package cli

import (
	"context"
	"errors"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

// exitCode of an error. Whatever a call that was cancelled says, it was cancelled.
func exitCode(ctx context.Context, err error) int {
	var told *toldError
	var wrong *usageError
	switch {
	case err == nil:
		return exitcode.OK
	case errors.As(err, &told):
		return told.code
	case errors.As(err, &wrong):
		return exitcode.Usage
	case errors.Is(ctx.Err(), context.Canceled):
		return exitcode.Cancelled
	}
	if _, ok := errors.AsType[*container.Error](err); ok {
		return exitcode.Container
	}
	if code := exitcode.Of(pinion.ClassOf(err)); code != exitcode.General || !isManaged(err) {
		return code
	}
	return exitcode.NoBuilder
}

// toldError ends a run whose failure has been printed already.
type toldError struct{ code int }

func (e *toldError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func isTold(err error) bool {
	var told *toldError
	return errors.As(err, &told)
}
