package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// hitStages is a hit whose requests pass through relays, which say when they were made and how many
// there were.
func hitStages(ctx context.Context, a *arena) (_ race, err error) {
	w := &watched{dir: a.dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.end())
		}
	}()
	if err := w.watch(a); err != nil {
		return race{}, err
	}
	a = w.through(a)
	// Another address of the git server is another template.
	r, err := hit(ctx, a)
	if err != nil {
		return race{}, err
	}
	if r.inits, err = a.packageInits(ctx); err != nil {
		return race{}, err
	}
	for _, c := range []*contestant{&r.ours, &r.peer} {
		c.before = func(context.Context) error { w.reset(); return nil }
		c.observe = w.observe
	}
	r.end = w.end
	return r, nil
}

// watched has the relays of a hit.
type watched struct {
	dir         string
	git, engine *relay
}

func (w *watched) watch(a *arena) (err error) {
	if w.git, err = newRelay("tcp", "127.0.0.1:0",
		strings.TrimPrefix(a.gitea.URL(), "http://")); err != nil {
		return err
	}
	w.engine, err = newRelay("unix", filepath.Join(w.dir, "relay.sock"),
		strings.TrimPrefix(a.host, "unix://"))
	return err
}

// through returns the arena whose contestants reach the git server and the engine by the relays.
func (w *watched) through(a *arena) *arena {
	s, b := *a.stage, *a
	s.template.via = "http://" + w.git.Addr().String()
	b.stage, b.host = &s, "unix://"+w.engine.Addr().String()
	return &b
}

func (w *watched) reset() {
	w.git.reset()
	w.engine.reset()
}

// observe divides a run by what has passed the relays.
func (w *watched) observe(r *run) error {
	r.Counts = stats.Counts{"requests to the git server": w.git.requests(),
		"requests to the engine": w.engine.requests()}
	asked, answered := w.git.times()
	first, last := w.engine.times()
	if asked.IsZero() || first.IsZero() {
		return fmt.Errorf("no request passed the relays: %v", r.Counts)
	}
	if first.Before(asked) {
		asked = first
	}
	if last.Before(answered) {
		last = answered
	}
	r.Stages = stagesOf(r.begun, []moment{{"exec", r.executed}, {stats.Starting, asked},
		{"look-up", answered}, {"inspect", last}, {"exit", r.ended}})
	return nil
}

// moment is when a stage ended.
type moment struct {
	name string
	at   time.Time
}

func stagesOf(begun time.Time, ends []moment) (stages []stats.Stage) {
	for _, end := range ends {
		stages = append(stages, stats.Stage{Name: end.name, Time: end.at.Sub(begun)})
		begun = end.at
	}
	return stages
}

func (w *watched) end() (err error) {
	for _, r := range []*relay{w.git, w.engine} {
		if r != nil {
			err = errors.Join(err, r.end())
		}
	}
	return err
}

// initRuns are those whose median is the time of a package.
const initRuns = 11

// packageInits measures how long each package takes to be initialised, longest first.
func (a *arena) packageInits(ctx context.Context) ([]stats.Stage, error) {
	times := map[string]stats.Times{}
	for range initRuns {
		l, err := a.programs.launcher.run(ctx, []string{a.programs.pinion, "--version"},
			append(a.env(), "GODEBUG=inittrace=1"))
		if err != nil {
			return nil, fmt.Errorf("pinion --version: %w\n%s", err, l.output)
		}
		for _, p := range parseInits(l.output) {
			times[p.Name] = append(times[p.Name], p.Time)
		}
	}
	var all []stats.Stage
	for name, t := range times {
		all = append(all, stats.Stage{Name: name, Time: t.Median()})
	}
	slices.SortFunc(all, func(a, b stats.Stage) int { return int(b.Time - a.Time) })
	if len(all) == 0 {
		return nil, errors.New("`GODEBUG=inittrace=1` says nothing")
	}
	return all, nil
}

// parseInits reads lines such as "init internal/bytealg @0.01 ms, 0.2 ms clock, 0 bytes, 0 allocs".
func parseInits(output string) (packages []stats.Stage) {
	for line := range strings.Lines(output) {
		var name string
		var at, took float64
		_, err := fmt.Sscanf(line, "init %s @%f ms, %f ms clock", &name, &at, &took)
		if err == nil {
			packages = append(packages, stats.Stage{Name: name,
				Time: time.Duration(took * float64(time.Millisecond))})
		}
	}
	return packages
}
