package main

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// series are the counted runs of one command.
type series struct {
	Times times   `json:"times"`           // in nanoseconds, in the order of the runs
	Bytes []int64 `json:"bytes,omitempty"` // moved by each; absent if nobody counted
	// bytes resident at most, in any run; 0 if the system does not tell
	Memory int64 `json:"memory"`
	// in nanoseconds, of callers, for each answer of all runs; absent for a command
	Waits times `json:"waits,omitempty"`
}

func (s *series) add(r run) {
	s.Times = append(s.Times, r.took)
	s.Bytes = append(s.Bytes, r.bytes)
	s.Memory = max(s.Memory, r.memory)
	s.Waits = append(s.Waits, r.waits...)
}

// times are the counted runs of one command, in the order in which they ran.
type times []time.Duration

func (t times) median() time.Duration { return median(t) }
func (t times) min() time.Duration    { return slices.Min(t) }
func (t times) max() time.Duration    { return slices.Max(t) }

// quantile is the smallest value that at least the share q of the values does not exceed (the
// nearest rank), of at least one value.
func (t times) quantile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(t))
	return sorted[max(0, int(math.Ceil(q*float64(len(t))))-1)]
}

// rate is how many answers there were in a second of all runs.
func (s series) rate() float64 {
	var sum time.Duration
	for _, t := range s.Times {
		sum += t
	}
	return float64(len(s.Waits)) / sum.Seconds()
}

// ratio is the ratio of the medians.
func ratio(ours, peer times) float64 { return float64(ours.median()) / float64(peer.median()) }

// pairedRatio is the median of the ratios of runs that stood side by side: a slow minute of the
// machine shifts both of a pair, and so does not shift this.
func pairedRatio(ours, peer times) float64 {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = float64(ours[i]) / float64(peer[i])
	}
	return median(ratios)
}

// median of at least one value; of an even number it is the mean of the two in the middle.
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
