package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"
)

// metrics are exposed in Prometheus's text format, version 0.0.4. Prometheus's own library would
// add 0.8 ms to each start of the command.
type metrics struct {
	version  string
	started  time.Time
	inFlight atomic.Int64

	mu              sync.Mutex
	builds          map[string]int64 // by result
	prewarms        map[string]int64 // by result; they are builds as well
	requests        map[string]int64 // by outcome
	buildFailures   map[string]int64 // by class
	requestFailures map[string]int64 // by class
	lastBuild       map[string]int64 // by template: 1 if its last build succeeded
	lookups         lookups
	deliveries      deliveryCounts
	durations       histogram
	queued          histogram
}

// durationBounds returns the upper bounds of the duration buckets, in seconds: from a build with
// all steps cached to a build of an hour.
func durationBounds() []float64 {
	return []float64{0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600}
}

// buildResults returns the label values of builds. Each is exposed from the start, with 0, so that
// a rate sees the first build.
func buildResults() []string { return []string{"built", "pulled", "hit", "failed", "cancelled"} }

// requestOutcomes returns the label values of requests for an image, exposed in the same way.
func requestOutcomes() []string {
	return []string{"hit", "built", "pulled", "given", "accepted", "failed", "refused", "cancelled"}
}

// failureClasses returns the label values of failures, exposed in the same way.
func failureClasses() []string {
	classes := []pinion.Class{pinion.ClassUsage, pinion.ClassNotFound, pinion.ClassUnauthorized,
		pinion.ClassUnreachable, pinion.ClassNoBuilder, pinion.ClassStore, pinion.ClassVerification,
		pinion.ClassLock, pinion.ClassBuild, pinion.ClassStalled, pinion.ClassTimeLimit,
		pinion.ClassCancelled, pinion.ClassGeneral}
	var names []string
	for _, c := range classes {
		names = append(names, string(c))
	}
	return names
}

func newMetrics(version string) *metrics {
	return &metrics{version: version, started: time.Now(), builds: zeros(buildResults()),
		prewarms: zeros(buildResults()), requests: zeros(requestOutcomes()),
		buildFailures: zeros(failureClasses()), requestFailures: zeros(failureClasses()),
		lookups:    newLookups(),
		deliveries: newDeliveries(), lastBuild: map[string]int64{}, durations: newHistogram(),
		queued: newHistogram()}
}

func zeros(names []string) map[string]int64 {
	m := map[string]int64{}
	for _, n := range names {
		m[n] = 0
	}
	return m
}

// countBuild counts a build that has ended.
func (m *metrics) countBuild(s pinion.BuildStatus) {
	m.inFlight.Add(-1)
	m.mu.Lock()
	defer m.mu.Unlock()
	result := "failed"
	switch {
	case s.Image != nil:
		result = string(s.Image.Outcome)
		m.lastBuild[s.Name] = 1
		m.deliveries.add(*s.Image)
	case s.Failure != nil && s.Failure.Class == pinion.ClassCancelled:
		result = "cancelled"
	default:
		m.lastBuild[s.Name] = 0
	}
	if s.Failure != nil {
		m.buildFailures[string(s.Failure.Class)]++
	}
	m.builds[result]++
	if s.Prewarmed {
		m.prewarms[result]++
	}
	m.durations.observe(s.Ended.Sub(s.Started).Seconds())
	m.queued.observe(float64(s.Queued) / 1000)
}

// countRequest counts a request for an image. Without a failure of a look-up or build the class is
// empty.
func (m *metrics) countRequest(outcome string, class pinion.Class) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[outcome]++
	if class != "" {
		m.requestFailures[string(class)]++
	}
}

// WatchState is what a watcher reports to /metrics.
type WatchState struct {
	Lookups, LookupFailures int64
	// Known has the followed templates, and since when their last known head is that.
	Known map[string]time.Time
	// Behind has them too, and since when a newer head than that of their image is known; zero if
	// none is, or if none is to be built.
	Behind map[string]time.Time
}

// WithWatchState adds the state of a watcher to /metrics. By default there is none.
func WithWatchState(state func() WatchState) Option {
	return func(s *Server) { s.watchState = state }
}

// gauges are the values of metrics at a moment.
type gauges struct {
	ready              bool
	queued             int
	oldest             time.Duration // of those
	interests, streams int
	watch              WatchState
	inspections        pinion.Inspections
	prune              PruneState
	disk               pinion.Disk // zero if it is not known
	usage              *pinion.DiskUsage
	history            *history.Size // nil if there is none
	statuses           *outbox.Counts
	notifications      *outbox.Counts
}

func (s *Server) gauges(ctx context.Context) gauges {
	g := gauges{ready: !s.gate.isClosed() && s.isReady(ctx) == nil,
		interests: len(s.interests), streams: len(s.streams), disk: s.measure(ctx),
		usage:    s.sizes.get(ctx, s.survey),
		statuses: s.statuses, notifications: s.notifications}
	if s.history != nil {
		if size, err := s.history.Size(ctx); err == nil {
			g.history = &size
		}
	}
	now := time.Now()
	for _, b := range s.builds.list() {
		if b.State == pinion.BuildQueued {
			g.queued++
			g.oldest = max(g.oldest, now.Sub(b.Started))
		}
	}
	if s.watchState != nil {
		g.watch = s.watchState()
	}
	if s.inspections != nil {
		g.inspections = s.inspections()
	}
	if s.pruneState != nil {
		g.prune = s.pruneState()
	}
	return g
}

func (s *Server) showMetrics(w http.ResponseWriter, r *http.Request) {
	var text strings.Builder
	s.metrics.write(&text, s.gauges(r.Context()))
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// best effort
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.write))
	_, _ = io.WriteString(w, text.String()) // the caller may have disconnected
}
