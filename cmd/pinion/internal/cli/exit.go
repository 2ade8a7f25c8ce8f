package cli

import (
	"context"
	"errors"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// exitCode returns the exit code for an error. If ctx is cancelled, it is that of a cancelled call
// for all errors but those of the arguments.
func exitCode(ctx context.Context, err error) int {
	var printed *printedError
	var wrong *flags.Error
	switch {
	case err == nil:
		return exitcode.OK
	case errors.As(err, &printed):
		return printed.code
	case errors.As(err, &wrong):
		return exitcode.Usage
	case errors.Is(ctx.Err(), context.Canceled):
		return exitcode.Cancelled
	}
	if _, ok := errors.AsType[*container.Error](err); ok {
		return exitcode.Container
	}
	code := exitcode.Of(pinion.ClassOf(err))
	if _, ok := errors.AsType[*daemon.Error](err); ok && code == exitcode.General {
		return exitcode.NoBuilder
	}
	return code
}

// printedError ends a run whose failure is already printed.
type printedError struct{ code int }

func (e *printedError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func isPrinted(err error) bool {
	_, ok := errors.AsType[*printedError](err)
	return ok
}
