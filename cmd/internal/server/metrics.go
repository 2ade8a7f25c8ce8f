package server

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// metrics are written in Prometheus's text format, version 0.0.4. Prometheus's own library would
// cost each start of the command 0.8 ms.
type metrics struct {
	version  string
	inFlight atomic.Int64

	mu       sync.Mutex
	builds   map[string]int64 // by result
	requests map[string]int64 // by outcome
	buckets  []int64          // by durationBounds, not cumulated
	sum      float64          // seconds
	count    int64
}

// durationBounds are the upper bounds of the duration's buckets, in seconds: from a build that
// finds all steps cached to one of an hour.
func durationBounds() []float64 {
	return []float64{0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600}
}

// What becomes of a build, and of a request for an image. They are there from the start, with 0, so
// that a rate of the first one can be seen.
func buildResults() []string { return []string{"built", "pulled", "hit", "failed", "cancelled"} }
func requestOutcomes() []string {
	return []string{"hit", "built", "pulled", "accepted", "failed", "refused", "cancelled"}
}

func newMetrics(version string) *metrics {
	m := &metrics{version: version, builds: map[string]int64{}, requests: map[string]int64{},
		buckets: make([]int64, len(durationBounds()))}
	for _, r := range buildResults() {
		m.builds[r] = 0
	}
	for _, o := range requestOutcomes() {
		m.requests[o] = 0
	}
	return m
}

// ended counts a build.
func (m *metrics) ended(s pinion.BuildStatus) {
	result := "failed"
	switch {
	case s.Image != nil:
		result = string(s.Image.Outcome)
	case s.Failure != nil && s.Failure.Class == pinion.ClassCancelled:
		result = "cancelled"
	}
	took := s.Ended.Sub(s.Started).Seconds()
	m.inFlight.Add(-1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.builds[result]++
	m.sum += took
	m.count++
	if i, _ := slices.BinarySearch(durationBounds(), took); i < len(m.buckets) {
		m.buckets[i]++
	}
}

// request counts a request for an image.
func (m *metrics) request(outcome string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[outcome]++
}

func (s *Server) showMetrics(w http.ResponseWriter, _ *http.Request) {
	var text strings.Builder
	s.metrics.write(&text)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// not on all connections
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.write))
	// the caller may have gone
	_, _ = io.WriteString(w, text.String())
}

func (m *metrics) write(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// into memory
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	head := func(name, kind, help string) {
		say("# HELP %s %s\n# TYPE %s %s", name, help, name, kind)
	}
	counters := func(name, label string, values map[string]int64) {
		for _, k := range slices.Sorted(maps.Keys(values)) {
			say("%s{%s=%q} %d", name, label, k, values[k])
		}
	}
	head("pinion_builds_total", "counter", "Builds and pulls that have ended.")
	counters("pinion_builds_total", "result", m.builds)
	head("pinion_requests_total", "counter", "Requests for an image.")
	counters("pinion_requests_total", "outcome", m.requests)
	head("pinion_builds_in_flight", "gauge", "Builds and pulls that are queued or run.")
	say("pinion_builds_in_flight %d", m.inFlight.Load())
	head("pinion_build_duration_seconds", "histogram",
		"Time from the first request for a build or pull to its end, the queue included.")
	var below int64
	for i, bound := range durationBounds() {
		below += m.buckets[i]
		say("pinion_build_duration_seconds_bucket{le=%q} %d", number(bound), below)
	}
	say("pinion_build_duration_seconds_bucket{le=\"+Inf\"} %d", m.count)
	say("pinion_build_duration_seconds_sum %s", number(m.sum))
	say("pinion_build_duration_seconds_count %d", m.count)
	head("pinion_build_info", "gauge", "The version of Pinion, always 1.")
	say("pinion_build_info{version=%q,goversion=%q} 1", m.version, runtime.Version())
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
