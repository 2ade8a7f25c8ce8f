//go:build failpoints

package failpoint

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	t.Setenv(Env, "solved=error,locked=delay:1ms")
	if err := At(t.Context(), Solved, nil); err == nil || !strings.Contains(err.Error(), "solved") {
		t.Errorf("solved: %v", err)
	}
	for _, p := range []Point{Locked, Tagged} {
		if err := At(t.Context(), p, nil); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	before := errors.New("the step failed")
	if err := At(t.Context(), Solved, before); !errors.Is(err, before) {
		t.Errorf("after a step that failed: %v", err)
	}
}

func TestDelayEndsWithTheContext(t *testing.T) {
	t.Setenv(Env, "locked=delay:1h")
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Millisecond, func() { cancel(gone) })
	if err := At(ctx, Locked, nil); !errors.Is(err, gone) {
		t.Errorf("error is %v", err)
	}
}

func TestPlanThatMakesNoSense(t *testing.T) {
	for _, plan := range []string{"solve=error", "solved", "solved=", "solved=panic",
		"solved=delay", "solved=delay:x"} {
		t.Setenv(Env, plan)
		if err := At(t.Context(), LookedUp, nil); err == nil ||
			!strings.Contains(err.Error(), Env) {
			t.Errorf("%s: %v", plan, err)
		}
	}
}
