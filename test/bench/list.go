package main

import (
	"context"
	"regexp"
	"slices"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/history"
	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// scenario is a question that a race answers.
type scenario struct {
	name    string
	warmups int // see race
	runs    int // counted ones of each command
	aim     stats.Aim
	// prepare makes the race. The error wraps parts.ErrMissing where the machine cannot run it.
	prepare preparing
	// on are the engines that it runs on; nil: all.
	on []parts.Flavour
}

func scenarios() []scenario {
	current := []parts.Flavour{parts.Docker29Containerd, parts.Docker29Classic}
	none, noSlower := stats.Aim{}, stats.Aim{Ratio: 1}
	many := stats.Aim{Rate: 5000, Beyond: 20 * time.Millisecond}
	return []scenario{
		{"hit", 2, 31, stats.Aim{Ratio: 0.30}, hit, nil},
		{"hit-stages", 2, 31, none, hitStages, nil},
		{"cached-build", 2, 15, noSlower, cachedBuild, nil},
		{"cached-load", 2, 7, noSlower, loadedBuild, nil},
		{"cold-build", 2, 7, noSlower, coldBuild, nil},
		{"first-load", 1, 3, stats.Aim{Ratio: 0.40}, firstLoad(standalone), nil},
		{"reload", 1, 5, stats.Aim{Ratio: 0.020}, reload(standalone), nil},
		{"reload-1mb", 1, 5, stats.Aim{Ratio: 0.045}, reloadChanged(standalone), nil},
		{"first-load-own", 1, 3, none, firstLoad(own), current},
		{"reload-own", 1, 3, none, reload(own), current},
		{"reload-1mb-own", 1, 3, none, reloadChanged(own), current},
		{"load-2gb", 0, 1, noSlower, loadHuge(4, 500_000_000), current},
		{"load-layer-1.5gb", 0, 1, noSlower, loadHuge(1, 1_500_000_000), current},
		{"platform-first", 0, 1, noSlower, platformFirst, current},
		{"platform-next", 1, 3, noSlower, platformNext, current},
		{"platform-hit", 2, 11, stats.Aim{Ratio: 0.30}, platformHit, current},
		{"update-1mb", 1, 3, none, update(standalone), current[:1]},
		{"cold-fetch", 0, 5, none, coldFetch, current[:1]},
		{"new-commit", 1, 3, none, newCommit, current[:1]},
		{"hits-library-1", 1, 3, none, hitsByLibrary(volley{1, 100}), current},
		{"hits-library-8", 1, 3, none, hitsByLibrary(volley{8, 160}), current},
		{"hits-library-64", 1, 3, many, hitsByLibrary(volley{64, 1280}), current},
		{"hits-http-1", 1, 3, none, hitsByHTTP(volley{1, 100}), current},
		{"hits-http-8", 1, 3, none, hitsByHTTP(volley{8, 160}), current},
		{"hits-http-64", 1, 3, many, hitsByHTTP(volley{64, 1280}), current},
		{"waiting-1000", 0, 3, none, waiting, current[:1]},
	}
}

// preparing makes a race on an engine.
type preparing func(context.Context, *arena) (race, error)

// row is a scenario on an engine.
type row struct {
	scenario
	flavour parts.Flavour
}

// rows returns all of them, engine by engine.
func rows() (all []row) {
	for _, flavour := range parts.Flavours() {
		for _, sc := range scenarios() {
			if sc.on == nil || slices.Contains(sc.on, flavour) {
				all = append(all, row{sc, flavour})
			}
		}
	}
	return all
}

// String returns the row's name, by which it is asked for.
func (r row) String() string { return r.name + "/" + string(r.flavour) }

// matching returns the rows that are asked for.
func matching(only *regexp.Regexp) []row {
	return slices.DeleteFunc(rows(), func(r row) bool { return !only.MatchString(r.String()) })
}

// keys returns all rows in the order of the tables: scenario by scenario.
func keys() (all []history.Key) {
	for _, sc := range scenarios() {
		for _, r := range rows() {
			if r.name == sc.name {
				all = append(all, history.Key{Scenario: r.name, Engine: string(r.flavour)})
			}
		}
	}
	return all
}
