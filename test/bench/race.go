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
	for i := range warmups + r.runs {
		a, err := r.ours.once(ctx)
		if err != nil {
			return nil, nil, err
		}
		b, err := r.peer.once(ctx)
		if err != nil {
			return nil, nil, err
		}
		if i >= warmups {
			ours, peer = append(ours, a), append(peer, b)
		}
	}
	return ours, peer, nil
}

// once times one run, from before the program is started until it has been waited for.
func (c contestant) once(ctx context.Context) (time.Duration, error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return 0, fmt.Errorf("%s: prepare: %w", c.name, err)
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
		return 0, fmt.Errorf("%s: %w\n%s", c.name, err, out.String())
	}
	return took, c.check(out.String())
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
