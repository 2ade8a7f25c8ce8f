//go:build failpoints

package failpoint

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// At returns err if there is one: then the step before the point has failed. If there is none, it
// takes the action that [Env] has for the point: it returns an error, waits until ctx ends at the
// latest, or kills the process as `kill -9` does. If Env is malformed, every point is an error.
func At(ctx context.Context, p Point, err error) error {
	if err != nil {
		return err
	}
	// Only test builds have this code, and no step passes a lookup to it.
	plan, err := parse(os.Getenv(Env)) //nolint:forbidigo
	if err != nil {
		return fmt.Errorf("%s: %w", Env, err)
	}
	if a, ok := plan[p]; ok {
		fmt.Fprintf(os.Stderr, "failpoint %s: %s\n", p, a.kind)
		return a.run(ctx, p)
	}
	return nil
}

// action is one of error, delay and kill.
type action struct {
	kind  string
	delay time.Duration
}

// parse reads the value of [Env].
func parse(s string) (map[Point]action, error) {
	plan := map[Point]action{}
	for entry := range strings.SplitSeq(s, ",") {
		if entry == "" {
			continue
		}
		point, what, _ := strings.Cut(entry, "=")
		if !slices.Contains(Points(), Point(point)) {
			return nil, fmt.Errorf("%q is no point; the points are %q", point, Points())
		}
		kind, rest, _ := strings.Cut(what, ":")
		a := action{kind: kind}
		switch {
		case kind == "delay":
			d, err := time.ParseDuration(rest)
			if err != nil {
				return nil, err
			}
			a.delay = d
		case what != "error" && what != "kill":
			return nil, fmt.Errorf("%q is no action; write error, delay:DURATION or kill", what)
		}
		plan[Point(point)] = a
	}
	return plan, nil
}

// run takes the action at a point.
func (a action) run(ctx context.Context, p Point) error {
	switch a.kind {
	case "delay":
		timer := time.NewTimer(a.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	case "kill":
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Kill(); err != nil {
			return err
		}
		select {} // the process ends before the next step
	}
	return fmt.Errorf("failpoint %s", p)
}
