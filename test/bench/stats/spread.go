package stats

import "slices"

// Spread is the median of some values and the range around it: from the first to the third quartile
// if there are at least eight values, and otherwise from the least to the greatest.
type Spread[N int64 | float64] struct {
	Median N `json:"median"`
	Low    N `json:"low"`
	High   N `json:"high"`
}

// manyValues have quartiles.
const manyValues = 8

// spreadOf returns the spread of values. There must be one.
func spreadOf[N int64 | float64](values []N) Spread[N] {
	sorted := slices.Sorted(slices.Values(values))
	low, high := 0, len(sorted)-1
	if len(sorted) >= manyValues {
		low, high = high/4, high-high/4
	}
	return Spread[N]{median(sorted), sorted[low], sorted[high]}
}
