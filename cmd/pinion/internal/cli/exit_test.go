package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

func TestExitCode(t *testing.T) {
	in := func(kind, cause error) error { return fmt.Errorf("%w: %w", kind, cause) }
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"none":                 {nil, 0},
		"unknown kind":         {errors.New("x"), 1},
		"deadline":             {context.DeadlineExceeded, 1},
		"usage":                {flags.Errorf("x"), 64},
		"invalid input":        {pinion.ErrInvalidInput, 64},
		"not in the catalogue": {pinion.ErrUnknownTemplate, 10},
		"not found":            {pinion.ErrNotFound, 10},
		"not on the branch":    {pinion.ErrNotOnBranch, 10},
		"unauthorized":         {pinion.ErrUnauthorized, 11},
		"rate limited":         {pinion.ErrRateLimited, 12},
		"unavailable":          {pinion.ErrUnavailable, 12},
		"invalid answer":       {pinion.ErrInvalidAnswer, 12},
		"fetch": {&buildkit.Error{Op: "fetch", Kind: pinion.ErrFetch,
			Err: errors.New("x")}, 12},
		"registry":                 {in(pinion.ErrRegistry, errors.New("x")), 12},
		"registry, not authorised": {in(pinion.ErrRegistry, pinion.ErrUnauthorized), 11},
		"registry, not found":      {in(pinion.ErrRegistry, pinion.ErrNotFound), 10},
		"no builder":               {pinion.ErrNoBuilder, 13},
		"platform":                 {pinion.ErrPlatform, 13},
		"store":                    {in(pinion.ErrStore, imagestore.ErrUnavailable), 14},
		"store, not found":         {in(pinion.ErrStore, imagestore.ErrNotFound), 14},
		"delivery": {&buildkit.Error{Op: "deliver", Kind: buildkit.ErrDelivery,
			Err: errors.New("x")}, 14},
		"verification": {pinion.ErrVerification, 15},
		"lock":         {pinion.ErrLockTimeout, 16},
		"build":        {in(pinion.ErrBuild, &pinion.StepError{Err: errors.New("x")}), 20},
		"refused":      {pinion.ErrRefused, 20},
		"cancelled":    {context.Canceled, 130},
		"printed":      {errors.Join(&printedError{16}, errors.New("x")), 16},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.err
			if err != nil && !isPrinted(err) && !errors.As(err, new(*flags.Error)) {
				err = &pinion.Error{Name: "one", Err: err}
			}
			if got := exitCode(t.Context(), err); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestExitCodeOfCancelledCalls(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// A connection that breaks by the cancellation reports that there is no builder.
	if got := exitCode(ctx, pinion.ErrNoBuilder); got != 130 {
		t.Errorf("got %d, want 130", got)
	}
	if got := exitCode(ctx, flags.Errorf("x")); got != 64 {
		t.Errorf("usage: got %d, want 64", got)
	}
}
