package server

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// exposition writes metrics as text. Writes to memory do not fail.
type exposition struct{ w io.Writer }

func (e exposition) line(format string, args ...any) {
	_, _ = fmt.Fprintf(e.w, format+"\n", args...)
}

func (e exposition) head(name, kind, help string) {
	e.line("# HELP %s %s\n# TYPE %s %s", name, help, name, kind)
}

// one writes a metric without labels.
func (e exposition) one(name, kind, help string, value float64) {
	e.head(name, kind, help)
	e.line("%s %s", name, formatFloat(value))
}

// maybe writes a metric without labels, without a value if that is not known.
func (e exposition) maybe(name, kind, help string, isKnown bool, value float64) {
	e.head(name, kind, help)
	if isKnown {
		e.line("%s %s", name, formatFloat(value))
	}
}

// all writes a metric with one label.
func (e exposition) all(name, kind, help, label string, values map[string]int64) {
	e.head(name, kind, help)
	for _, k := range slices.Sorted(maps.Keys(values)) {
		e.line("%s{%s=%q} %d", name, label, k, values[k])
	}
}

// floats is all for values that are no integers.
func (e exposition) floats(name, kind, help, label string, values map[string]float64) {
	e.head(name, kind, help)
	for _, k := range slices.Sorted(maps.Keys(values)) {
		e.line("%s{%s=%q} %s", name, label, k, formatFloat(values[k]))
	}
}

func (m *metrics) write(w io.Writer, g gauges) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := exposition{w}
	e.all("pinion_builds_total", "counter", "Builds and pulls that have ended.", "result", m.builds)
	e.all("pinion_prewarms_total", "counter", "Those of them that began ahead of requests.",
		"result", m.prewarms)
	e.all("pinion_build_failures_total", "counter", "Builds and pulls that failed.", "class",
		m.buildFailures)
	e.all("pinion_template_last_build_ok", "gauge",
		"1 if the template's last build succeeded, 0 if it failed.", "template", m.lastBuild)
	e.all("pinion_requests_total", "counter", "Requests for an image.", "outcome", m.requests)
	e.all("pinion_request_failures_total", "counter",
		"Requests for an image whose look-up or build failed.", "class", m.requestFailures)
	e.one("pinion_builds_in_flight", "gauge", "Builds and pulls that are queued or run.",
		float64(m.inFlight.Load()))
	e.one("pinion_builds_queued", "gauge", "Those of them that are queued.", float64(g.queued))
	e.one("pinion_builds_queued_oldest_seconds", "gauge",
		"For how long the oldest of the queued builds has been there.", g.oldest.Seconds())
	m.durations.write(e, "pinion_build_duration_seconds",
		"Time from the first request for a build or pull to its end, the queue included.")
	m.queued.write(e, "pinion_build_queue_seconds",
		"Time that a build or pull which has ended had waited in the queue and for others.")
	m.lookups.write(e)
	writeInspections(e, g.inspections)
	m.deliveries.write(e)
	e.one("pinion_callers", "gauge", "Callers that wait for a build or have an interest in one.",
		float64(g.interests))
	e.one("pinion_event_streams", "gauge", "Event streams that are being read.", float64(g.streams))
	ready := 0.0
	if g.ready {
		ready = 1
	}
	e.one("pinion_ready", "gauge", "1 if /readyz reports that the server is ready.", ready)
	g.watch.write(e)
	g.prune.write(e)
	writeDisk(e, g.disk)
	writeSizes(e, g.usage, g.history)
	writeSent(e, "pinion_statuses_total", "Commit statuses for forges.", g.statuses)
	writeSent(e, "pinion_notifications_total", "Notifications for the operator's program.",
		g.notifications)
	e.head("pinion_build_info", "gauge", "The version of Pinion, always 1.")
	e.line("pinion_build_info{version=%q,goversion=%q} 1", m.version, runtime.Version())
	e.one("process_start_time_seconds", "gauge", "When the server started, in seconds since 1970.",
		float64(m.started.UnixMilli())/1000)
	e.one("go_goroutines", "gauge", "Goroutines.", float64(runtime.NumGoroutine()))
	writeProcess(e)
}

func (s WatchState) write(e exposition) {
	e.all("pinion_watch_lookups_total", "counter", "Look-ups of followed branches.", "result",
		map[string]int64{"ok": s.Lookups - s.LookupFailures, "failed": s.LookupFailures})
	ages := map[string]int64{}
	for name, since := range s.Known {
		ages[name] = int64(time.Since(since).Seconds())
	}
	e.all("pinion_watch_lookup_age_seconds", "gauge",
		"Time since a followed template was looked up successfully, or since it is followed.",
		"template", ages)
	lags := map[string]float64{}
	for name, since := range s.Behind {
		lags[name] = 0
		if !since.IsZero() {
			lags[name] = time.Since(since).Round(time.Millisecond).Seconds()
		}
	}
	e.floats("pinion_watch_lag_seconds", "gauge", "For how long the newest commit of a followed "+
		"template has been known without an image, 0 if it has one.", "template", lags)
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
