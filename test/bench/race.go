package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// contestant is one of the two commands of a race.
type contestant struct {
	name string // as the table shows it
	args []string
	env  []string
	// before brings back the state that each run begins with, outside the time. nil: nothing to do.
	before func(context.Context) error
	// want and unwanted are texts that the output has to show and must not show, else the run did another job.
	want, unwanted []string
}

// race is a scenario that is ready to run.
type race struct {
	ours, peer contestant
	runs       int
	aim        float64 // ratio of the medians, ours to the peer's
}

// warmups are the runs of each command that are not counted: they fill the caches that the scenario wants full.
const warmups = 2

// run lets the two take turns.
func (r race) run(ctx context.Context) (ours, peer []time.Duration, err error) {
	for range warmups {
		if _, _, err := r.round(ctx, contestant.once); err != nil {
			return nil, nil, err
		}
	}
	for range r.runs {
		a, b, err := r.round(ctx, contestant.checked)
		if err != nil {
			return nil, nil, err
		}
		ours, peer = append(ours, a), append(peer, b)
	}
	return ours, peer, nil
}

// round is a turn of each.
func (r race) round(ctx context.Context, turn func(contestant, context.Context) (run, error)) (ours, peer time.Duration, err error) {
	a, err := turn(r.ours, ctx)
	if err != nil {
		return 0, 0, err
	}
	b, err := turn(r.peer, ctx)
	return a.took, b.took, err
}

// run is one execution that succeeded.
type run struct {
	took   time.Duration // from before the program was started until it was waited for
	output string        // stdout and stderr
}

// checked is once for runs that count.
func (c contestant) checked(ctx context.Context) (run, error) {
	r, err := c.once(ctx)
	if err != nil {
		return run{}, err
	}
	return r, c.check(r.output)
}

func (c contestant) once(ctx context.Context) (run, error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return run{}, fmt.Errorf("%s: prepare: %w", c.name, err)
		}
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env = c.env
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	begun := time.Now()
	err := cmd.Run()
	took := time.Since(begun)
	if err != nil {
		return run{}, fmt.Errorf("%s: %w\n%s", c.name, err, out.String())
	}
	return run{took, out.String()}, nil
}

func (c contestant) check(out string) error {
	for _, text := range c.want {
		if !strings.Contains(out, text) {
			return fmt.Errorf("%s: the output lacks %q\n%s", c.name, text, out)
		}
	}
	for _, text := range c.unwanted {
		if strings.Contains(out, text) {
			return fmt.Errorf("%s: the output has %q\n%s", c.name, text, out)
		}
	}
	return nil
}
