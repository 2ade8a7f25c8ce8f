// Package stats has the arithmetic and the summaries of the benchmarks: series of runs, what
// they are compared by, and the report of all of them. It starts nothing and measures nothing.
package stats

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Series has the counted runs of one command, or of callers of one server.
type Series struct {
	Times Times `json:"times"` // durations of the runs, in their order
	// Counts are what each run moved or asked for, by what is counted.
	Counts map[string][]int64 `json:"counts,omitempty"`
	// Memory is the largest number of resident bytes of any process in any run; 0 if it is not
	// known.
	Memory int64 `json:"memory"`
	// Waits has the time of each answer in all runs of callers; absent for a command.
	Waits Times `json:"waits,omitempty"`
	// Stages are the parts of each run, the same ones in the same order; absent if not known.
	Stages [][]Stage `json:"stages,omitempty"`
}

// Counts are numbers that do not depend on the machine, by what is counted.
type Counts map[string]int64

// Run is one run of a command or of callers, with the fields of Series.
type Run struct {
	Time   time.Duration
	Counts Counts
	Memory int64
	Waits  Times
	Stages []Stage
}

// Add appends a run.
func (s *Series) Add(r Run) {
	s.Times = append(s.Times, r.Time)
	for what, n := range r.Counts {
		if s.Counts == nil {
			s.Counts = map[string][]int64{}
		}
		s.Counts[what] = append(s.Counts[what], n)
	}
	s.Memory = max(s.Memory, r.Memory)
	s.Waits = append(s.Waits, r.Waits...)
	if r.Stages != nil {
		s.Stages = append(s.Stages, r.Stages)
	}
}

// Times are durations in the order in which they were measured; in nanoseconds as JSON.
type Times []time.Duration

// Median returns the median. There must be a value.
func (t Times) Median() time.Duration { return median(t) }

// Quantile returns the smallest value that at least the share q of the values does not exceed (the
// nearest rank). There must be a value.
func (t Times) Quantile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(t))
	return sorted[max(0, int(math.Ceil(q*float64(len(t))))-1)]
}

// rate returns the number of answers in a second of all runs.
func (s Series) rate() float64 {
	var sum time.Duration
	for _, t := range s.Times {
		sum += t
	}
	return float64(len(s.Waits)) / sum.Seconds()
}

// ratio returns the ratio of the medians.
func ratio(ours, peer Times) float64 { return float64(ours.Median()) / float64(peer.Median()) }

// pairs returns the ratios of runs that followed each other. A slow minute of the machine shifts
// both runs of a pair, so it does not shift their ratio.
func pairs(ours, peer Times) []float64 {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = float64(ours[i]) / float64(peer[i])
	}
	return ratios
}

// median returns the median. There must be a value. The median of an even number of values is the
// mean of the two in the middle.
func median[S ~[]N, N interface {
	cmp.Ordered
	~int64 | ~float64
}](values S) N {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
