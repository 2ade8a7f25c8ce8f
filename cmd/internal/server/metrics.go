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

// metrics are exposed in Prometheus's text format, version 0.0.4. Prometheus's own library would
// add 0.8 ms to each start of the command.
type metrics struct {
	version  string
	inFlight atomic.Int64

	mu       sync.Mutex
	builds   map[string]int64 // by result
	requests map[string]int64 // by outcome
	buckets  []int64          // by durationBounds, not cumulative
	sum      float64          // seconds
	count    int64
}

// durationBounds returns the upper bounds of the duration buckets, in seconds: from a build with
// all steps cached to a build of an hour.
func durationBounds() []float64 {
	return []float64{0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600}
}

// buildResults returns the label values of builds. Each is exposed from the start, with 0, so that
// a rate sees the first build.
func buildResults() []string { return []string{"built", "pulled", "hit", "failed", "cancelled"} }

// requestOutcomes returns the label values of requests for an image, exposed in the same way.
func requestOutcomes() []string {
	return []string{"hit", "built", "pulled", "given", "accepted", "failed", "refused", "cancelled"}
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

// countBuild counts a build that has ended.
func (m *metrics) countBuild(s pinion.BuildStatus) {
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

// countRequest counts a request for an image.
func (m *metrics) countRequest(outcome string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[outcome]++
}

func (s *Server) showMetrics(w http.ResponseWriter, _ *http.Request) {
	var text strings.Builder
	s.metrics.write(&text)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// best effort
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.write))
	_, _ = io.WriteString(w, text.String()) // the caller may have disconnected
}

func (m *metrics) write(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Writes to memory do not fail.
	printf := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	head := func(name, kind, help string) {
		printf("# HELP %s %s\n# TYPE %s %s", name, help, name, kind)
	}
	counters := func(name, label string, values map[string]int64) {
		for _, k := range slices.Sorted(maps.Keys(values)) {
			printf("%s{%s=%q} %d", name, label, k, values[k])
		}
	}
	head("pinion_builds_total", "counter", "Builds and pulls that have ended.")
	counters("pinion_builds_total", "result", m.builds)
	head("pinion_requests_total", "counter", "Requests for an image.")
	counters("pinion_requests_total", "outcome", m.requests)
	head("pinion_builds_in_flight", "gauge", "Builds and pulls that are queued or run.")
	printf("pinion_builds_in_flight %d", m.inFlight.Load())
	head("pinion_build_duration_seconds", "histogram",
		"Time from the first request for a build or pull to its end, the queue included.")
	var below int64
	for i, bound := range durationBounds() {
		below += m.buckets[i]
		printf("pinion_build_duration_seconds_bucket{le=%q} %d", formatFloat(bound), below)
	}
	printf("pinion_build_duration_seconds_bucket{le=\"+Inf\"} %d", m.count)
	printf("pinion_build_duration_seconds_sum %s", formatFloat(m.sum))
	printf("pinion_build_duration_seconds_count %d", m.count)
	head("pinion_build_info", "gauge", "The version of Pinion, always 1.")
	printf("pinion_build_info{version=%q,goversion=%q} 1", m.version, runtime.Version())
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
