package stats

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Summary is what is recorded of a result.
type Summary struct {
	Scenario string `json:"scenario"`
	Engine   string `json:"engine"`
	Ours     string `json:"ours"` // what was measured
	Peer     string `json:"peer"` // what it was compared with
	Runs     int    `json:"runs"` // of each
	// Ratio is that of the medians of the times, Pinion's to the peer's, and Spread that of the
	// ratios of the runs that followed each other.
	Ratio  float64         `json:"ratio"`
	Spread Spread[float64] `json:"spread"`
	Times  Spread[int64]   `json:"times_ns"`
	Peers  Spread[int64]   `json:"peer_times_ns"`
	// Answers are those of callers; nil for commands.
	Answers *Answers `json:"answers,omitempty"`
	Memory  int64    `json:"memory"`      // see Series
	PeerMem int64    `json:"peer_memory"` // the peer's
	Counts  []Count  `json:"counts,omitempty"`
	Stages  []Stage  `json:"stages,omitempty"` // see MeanStages
	Inits   []Stage  `json:"inits,omitempty"`  // the packages that took longest, longest first
	Aim     Aim      `json:"aim,omitzero"`
}

// Answers are what callers got.
type Answers struct {
	Number int           `json:"number"`
	Ours   Wait          `json:"ours"`
	Peer   Wait          `json:"peer"`
	Alone  time.Duration `json:"alone_ns,omitempty"` // p99 of the git server for one caller
}

// Wait is how many answers came in a second, and for how long callers waited for one.
type Wait struct {
	Rate float64       `json:"rate"`
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
}

// Count is a number that does not depend on the machine: the medians of the runs. One that was not
// counted is nil.
type Count struct {
	What string         `json:"what"`
	Ours *Spread[int64] `json:"ours,omitempty"`
	Peer *Spread[int64] `json:"peer,omitempty"`
}

// mostInits are the packages that a summary names.
const mostInits = 8

// Summary returns what is recorded of a result.
func (r Result) Summary() Summary {
	s := Summary{Scenario: r.Scenario, Engine: r.Engine, Ours: r.Ours, Peer: r.Peer,
		Runs: len(r.OurRuns.Times), Ratio: ratio(r.OurRuns.Times, r.PeerRuns.Times),
		Spread: spreadOf(pairs(r.OurRuns.Times, r.PeerRuns.Times)),
		Times:  spreadOf(plain(r.OurRuns.Times)), Peers: spreadOf(plain(r.PeerRuns.Times)),
		Memory: r.OurRuns.Memory, PeerMem: r.PeerRuns.Memory, Stages: r.Stages, Aim: r.Aim,
		Counts: counts(r.OurRuns, r.PeerRuns)}
	s.Inits = r.Inits[:min(mostInits, len(r.Inits))]
	if n := len(r.OurRuns.Waits); n > 0 {
		s.Answers = &Answers{n, r.OurRuns.wait(), r.PeerRuns.wait(), r.Alone}
	}
	return s
}

func (s Series) wait() Wait {
	return Wait{s.rate(), s.Waits.Quantile(0.5), s.Waits.Quantile(0.99)}
}

func counts(ours, peer Series) (all []Count) {
	names := slices.Concat(slices.Collect(maps.Keys(ours.Counts)),
		slices.Collect(maps.Keys(peer.Counts)))
	slices.Sort(names)
	for _, what := range slices.Compact(names) {
		all = append(all, Count{what, spreadIfAny(ours.Counts[what]),
			spreadIfAny(peer.Counts[what])})
	}
	return all
}

func spreadIfAny(values []int64) *Spread[int64] {
	if len(values) == 0 {
		return nil
	}
	s := spreadOf(values)
	return &s
}

func plain(times Times) []int64 {
	values := make([]int64, len(times))
	for i, t := range times {
		values[i] = int64(t)
	}
	return values
}

// String returns the ratio, its range and the aim, for a line of progress.
func (s Summary) String() string {
	aim := ""
	if s.Aim.Ratio > 0 {
		aim = fmt.Sprintf(", aim %.3f", s.Aim.Ratio)
	}
	return fmt.Sprintf("ratio %.3f (%.3f–%.3f)%s", s.Ratio, s.Spread.Low, s.Spread.High, aim)
}
