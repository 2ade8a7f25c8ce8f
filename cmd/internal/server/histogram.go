package server

import "slices"

// histogram counts durations by [durationBounds].
type histogram struct {
	buckets []int64 // not cumulative
	sum     float64 // seconds
	count   int64
}

func newHistogram() histogram { return histogram{buckets: make([]int64, len(durationBounds()))} }

// observe counts a duration in seconds.
func (h *histogram) observe(seconds float64) {
	h.sum += seconds
	h.count++
	if i, _ := slices.BinarySearch(durationBounds(), seconds); i < len(h.buckets) {
		h.buckets[i]++
	}
}

func (h *histogram) write(e exposition, name, help string) {
	e.head(name, "histogram", help)
	var below int64
	for i, bound := range durationBounds() {
		below += h.buckets[i]
		e.line("%s_bucket{le=%q} %d", name, formatFloat(bound), below)
	}
	e.line("%s_bucket{le=\"+Inf\"} %d", name, h.count)
	e.line("%s_sum %s", name, formatFloat(h.sum))
	e.line("%s_count %d", name, h.count)
}
