package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// contestant is one of the two of a race: a command, or callers of something that is up.
type contestant struct {
	name string // as the table shows it
	args []string
	env  []string
	// callers, if there are any, are what a run is instead of a command.
	callers func(context.Context) (run, error)
	// before brings back the state that each run begins with, outside the time. nil: nothing to do.
	before func(context.Context) error
	// want and unwanted are texts that the output must and must not have. A run without them did
	// another job.
	want, unwanted []string
	// bytes are those that a run moved, from its output or a counting proxy. nil: not known.
	bytes func(output string) (int64, error)
}

// race is a scenario that is ready to run.
type race struct {
	ours, peer contestant
	// warmups are runs of each that are not counted. They fill caches for the scenario.
	warmups int
	runs    int
	aim     float64 // ratio of the medians, ours to the peer's; 0: none
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
		ours.Add(a.counted())
		peer.Add(b.counted())
	}
	return ours, peer, nil
}

// result returns what the race adds to the report. Bytes that were not counted are left out.
func (r race) result(scenario, engine string, ours, peer stats.Series) stats.Result {
	if r.ours.bytes == nil {
		ours.Bytes = nil
	}
	if r.peer.bytes == nil {
		peer.Bytes = nil
	}
	return stats.Result{Scenario: scenario, Engine: engine, Ours: r.ours.name, Peer: r.peer.name,
		OurRuns: ours, PeerRuns: peer, Aim: r.aim}
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
	took   time.Duration // from before the program was started until it was waited for
	output string        // stdout and stderr
	bytes  int64         // moved; 0 if they are not counted
	memory int64         // resident at most, of the biggest process, in bytes
	waits  stats.Times   // of the callers, one for each answer
}

func (r run) counted() stats.Run {
	return stats.Run{Time: r.took, Bytes: r.bytes, Memory: r.memory, Waits: r.waits}
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
	if c.bytes != nil {
		r.bytes, err = c.bytes(r.output)
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
	return run{took: took, output: out.String(), memory: residentAtMost(cmd.ProcessState)}, nil
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
