// Package stats has the arithmetic and the tables of the benchmarks: series of runs, what they are
// compared by, and the report of all of them. It starts nothing and measures nothing.
package stats

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Series has the counted runs of one command, or of callers of one server.
type Series struct {
	Times Times   `json:"times"`           // durations of the runs, in their order
	Bytes []int64 `json:"bytes,omitempty"` // moved by each run; absent if they were not counted
	// Memory is the largest number of resident bytes in any run; 0 if it is not known.
	Memory int64 `json:"memory"`
	// Waits has the time of each answer in all runs of callers; absent for a command.
	Waits Times `json:"waits,omitempty"`
}

// Run is one run of a command or of callers, with the fields of Series.
type Run struct {
	Time   time.Duration
	Bytes  int64
	Memory int64
	Waits  Times
}

// Add appends a run.
func (s *Series) Add(r Run) {
	s.Times = append(s.Times, r.Time)
	s.Bytes = append(s.Bytes, r.Bytes)
	s.Memory = max(s.Memory, r.Memory)
	s.Waits = append(s.Waits, r.Waits...)
}

// Times are durations in the order in which they were measured; in nanoseconds as JSON.
type Times []time.Duration

func (t Times) median() time.Duration { return median(t) }
func (t Times) min() time.Duration    { return slices.Min(t) }
func (t Times) max() time.Duration    { return slices.Max(t) }

// quantile returns the smallest value that at least the share q of the values does not exceed (the
// nearest rank). There must be a value.
func (t Times) quantile(q float64) time.Duration {
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
func ratio(ours, peer Times) float64 { return float64(ours.median()) / float64(peer.median()) }

// pairedRatio returns the median of the ratios of runs that followed each other. A slow minute of
// the machine shifts both runs of a pair, so it does not shift this ratio.
func pairedRatio(ours, peer Times) float64 {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = float64(ours[i]) / float64(peer[i])
	}
	return median(ratios)
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
