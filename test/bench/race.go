package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// contestant is one of the two of a race: a command, or callers of something that is up.
type contestant struct {
	name string // as the table shows it
	by   launcher
	args []string
	env  []string
	// callers, if there are any, are what a run is instead of a command.
	callers func(context.Context) (run, error)
	// before brings back the state that each run begins with, outside the time. nil: nothing to do.
	before func(context.Context) error
	// want and unwanted are texts that the output must and must not have. A run without them did
	// another job.
	want, unwanted []string
	// observe adds to a run that counts what is known of it besides, from its output or a proxy.
	// nil: nothing.
	observe func(*run) error
}

// race is a scenario that is ready to run.
type race struct {
	ours, peer contestant
	// warmups are runs of each that are not counted. They fill caches for the scenario.
	warmups int
	runs    int
	aim     stats.Aim
	// inits are how long each package took of Pinion's start, for a race with stages.
	inits []stats.Stage
	// alone is what the git server took to answer one caller (p99), for a race of callers.
	alone time.Duration
	// end ends what was started for the race alone. nil: nothing.
	end func() error
}

// run lets the two take turns.
func (r race) run(ctx context.Context) (ours, peer stats.Series, err error) {
	for range r.warmups {
		if _, _, err := r.round(ctx, contestant.once); err != nil {
			return ours, peer, err
		}
	}
	for range r.runs {
		a, b, err := r.round(ctx, contestant.checked)
		if err != nil {
			return ours, peer, err
		}
		ours.Add(a.Run)
		peer.Add(b.Run)
	}
	return ours, peer, nil
}

// result returns what the race adds to the report.
func (r race) result(scenario, engine string, ours, peer stats.Series) stats.Result {
	return stats.Result{Scenario: scenario, Engine: engine, Ours: r.ours.name, Peer: r.peer.name,
		OurRuns: ours, PeerRuns: peer, Aim: r.aim, Alone: r.alone,
		Stages: stats.MeanStages(ours, stats.Sum(r.inits)), Inits: r.inits}
}

// round is a turn of each.
func (r race) round(
	ctx context.Context, turn func(contestant, context.Context) (run, error),
) (ours, peer run, err error) {
	if ours, err = turn(r.ours, ctx); err != nil {
		return ours, peer, err
	}
	peer, err = turn(r.peer, ctx)
	return ours, peer, err
}

// run is one execution that succeeded.
type run struct {
	stats.Run
	launch // of a command
}

// checked is once for runs that count.
func (c contestant) checked(ctx context.Context) (run, error) {
	r, err := c.once(ctx)
	if err != nil {
		return run{}, err
	}
	if err := c.check(r.output); err != nil {
		return run{}, err
	}
	if c.observe != nil {
		err = c.observe(&r)
	}
	return r, err
}

func (c contestant) once(ctx context.Context) (run, error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return run{}, fmt.Errorf("%s: prepare: %w", c.name, err)
		}
	}
	if c.callers != nil {
		r, err := c.callers(ctx)
		if err != nil {
			err = fmt.Errorf("%s: %w", c.name, err)
		}
		return r, err
	}
	l, err := c.by.run(ctx, c.args, c.env)
	if err != nil {
		return run{}, fmt.Errorf("%s: %w\n%s", c.name, err, l.output)
	}
	return run{Run: stats.Run{Time: l.took(), Memory: l.memory}, launch: l}, nil
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
