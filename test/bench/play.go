package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// play is the run of several scenarios.
type play struct {
	*stage
	runs   int // of each command; 0: as the scenario says
	begun  time.Time
	limit  time.Duration // after which no scenario is begun
	done   int
	of     int // scenarios
	report stats.Report
}

// errOutOfTime is why a scenario was not begun.
var errOutOfTime = errors.New("out of time")

// scenarioTimeout bounds a scenario with all of its runs.
const scenarioTimeout = 15 * time.Minute

// all runs the rows engine by engine: no engine is up while another one is measured.
func (p *play) all(ctx context.Context, wanted []row) (err error) {
	for _, flavour := range parts.Flavours() {
		var here []row
		for _, r := range wanted {
			if r.flavour == flavour {
				here = append(here, r)
			}
		}
		if len(here) > 0 {
			err = errors.Join(err, p.engine(ctx, flavour, here))
		}
	}
	return err
}

// engine runs the rows of one engine. Those that fail do not stop the others.
func (p *play) engine(ctx context.Context, flavour parts.Flavour, wanted []row) (err error) {
	if err := flavour.Available(ctx); err != nil {
		for _, r := range wanted {
			p.skip(r, err)
		}
		return nil
	}
	if p.late() {
		for _, r := range wanted {
			p.skip(r, errOutOfTime)
		}
		return nil
	}
	a, err := p.openArena(ctx, flavour)
	if err != nil {
		return fmt.Errorf("%s: %w", flavour, err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	p.engines[string(flavour)] = a.version
	for _, r := range wanted {
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		err = errors.Join(err, p.row(ctx, a, r))
	}
	return err
}

// row runs one row, and returns an error only if it fails.
func (p *play) row(ctx context.Context, a *arena, r row) error {
	if p.late() {
		p.skip(r, errOutOfTime)
		return nil
	}
	p.done++
	say("%s  %d of %d: %s", time.Since(p.begun).Round(time.Second), p.done, p.of, r)
	ctx, cancel := context.WithTimeout(ctx, scenarioTimeout)
	defer cancel()
	result, err := a.play(ctx, r.scenario, p.runs)
	switch {
	case errors.Is(err, parts.ErrMissing):
		p.done--
		p.skip(r, err)
		return nil
	case err != nil:
		p.report.Skip(r.String(), err)
		err = fmt.Errorf("%s: %w", r, err)
		say("  failed: %v", err)
		return err
	}
	say("  %s", p.report.Add(result))
	return nil
}

func (p *play) late() bool { return time.Since(p.begun) > p.limit }

func (p *play) skip(r row, why error) {
	p.done++
	say("%d of %d: %s: skipped: %v", p.done, p.of, r, why)
	p.report.Skip(r.String(), why)
}
