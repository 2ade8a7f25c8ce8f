package server

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"
)

func TestMetrics(t *testing.T) {
	state := WatchState{Lookups: 5, LookupFailures: 2,
		Known:  map[string]time.Time{"there": time.Now().Add(-time.Minute)},
		Behind: map[string]time.Time{"there": {}, "other": time.Now().Add(-time.Hour)}}
	var statuses, notes outbox.Counts
	statuses.Sent.Add(4)
	notes.Dropped.Add(2)
	s := newStage(t, WithVersion(`v1"2`), WithWatchState(func() WatchState { return state }),
		WithPruneState(func() PruneState {
			return PruneState{Runs: 5, Failures: 1, Images: 3, Bytes: 4096}
		}), WithDisk(func(context.Context) (pinion.Disk, error) {
			return pinion.Disk{Path: "/x", Images: true, Free: 10, Total: 100}, nil
		}), WithReported(&statuses, &notes))
	s.ask(t, http.MethodPost, "/v1/images/there", "")
	s.ask(t, http.MethodPost, "/v1/images/unknown", "")
	s.ask(t, http.MethodPost, "/v1/images/there", "x")
	s.ask(t, http.MethodPost, "/v1/images/made", "")
	s.ask(t, http.MethodPost, "/v1/images/other", "")
	s.ask(t, http.MethodPost, "/v1/images/queued", "")
	made := imageOf("made", pinion.OutcomeBuilt)
	made.Cache, made.Durations.Deliver = &pinion.CacheReceipt{From: "local"}, 1500
	s.backend.build("made").end(made, nil)
	failed, waiting := s.backend.build("other"), s.backend.build("queued")
	waiting.mu.Lock()
	waiting.status.State, waiting.status.Started = pinion.BuildQueued, time.Now().Add(-time.Hour)
	waiting.mu.Unlock()
	failed.mu.Lock()
	failed.status.Queued = 7500
	failed.mu.Unlock()
	failed.end(pinion.Image{}, pinion.ErrBuild)
	eventually(t, "one build", func() bool { return s.metrics.inFlight.Load() == 1 })
	var text string
	eventually(t, "sizes", func() bool {
		text = s.ask(t, http.MethodGet, "/metrics", "").text
		return strings.Contains(text, "\npinion_images ")
	})
	for _, line := range []string{
		`pinion_requests_total{outcome="hit"} 1`, `pinion_requests_total{outcome="failed"} 1`,
		`pinion_requests_total{outcome="refused"} 1`,
		`pinion_requests_total{outcome="accepted"} 3`, `pinion_builds_total{result="built"} 1`,
		`pinion_builds_total{result="failed"} 1`, `pinion_builds_total{result="cancelled"} 0`,
		`pinion_prewarms_total{result="failed"} 0`, `pinion_build_failures_total{class="build"} 1`,
		`pinion_build_failures_total{class="stalled"} 0`,
		`pinion_template_last_build_ok{template="made"} 1`,
		`pinion_template_last_build_ok{template="other"} 0`,
		`pinion_request_failures_total{class="not-found"} 1`,
		`pinion_request_failures_total{class="usage"} 0`,
		`pinion_builds_in_flight 1`, `pinion_build_duration_seconds_bucket{le="0.5"} 2`,
		`pinion_build_duration_seconds_bucket{le="+Inf"} 2`,
		`pinion_build_duration_seconds_count 2`, `pinion_build_queue_seconds_count 2`,
		`pinion_build_queue_seconds_bucket{le="0.5"} 1`,
		`pinion_build_queue_seconds_bucket{le="10"} 2`, `pinion_build_queue_seconds_sum 7.5`,
		`pinion_builds_queued 1`, `pinion_callers 1`,
		`pinion_event_streams 0`, `pinion_ready 1`,
		`pinion_delivered_bytes_total{way="moby"} 7`, `pinion_deliveries_total{way="moby"} 1`,
		`pinion_delivery_seconds_total{way="moby"} 1.5`,
		`pinion_deliveries_total{way="registry"} 0`,
		`pinion_cache_imports_total{from="local"} 1`,
		`pinion_cache_imports_total{from="registry"} 0`,
		`pinion_lookups_total{result="hit"} 1`, `pinion_lookups_total{result="miss"} 3`,
		`pinion_lookups_total{result="failed"} 0`, `pinion_misses_total{cause="new"} 3`,
		`pinion_misses_total{cause="gone"} 0`, `pinion_watch_lag_seconds{template="there"} 0`,
		`pinion_statuses_total{result="sent"} 4`, `pinion_statuses_total{result="failed"} 0`,
		`pinion_notifications_total{result="dropped"} 2`,
		`pinion_images 1`, `pinion_size_bytes{of="images"} 1`, `pinion_size_bytes{of="cache"} 0`,
		`pinion_watch_lookups_total{result="ok"} 3`,
		`pinion_watch_lookups_total{result="failed"} 2`,
		`pinion_watch_lookup_age_seconds{template="there"} 60`,
		`pinion_prunes_total{result="ok"} 4`, `pinion_prunes_total{result="failed"} 1`,
		`pinion_pruned_images_total 3`, `pinion_pruned_bytes_total 4096`,
		`pinion_disk_free_bytes{of="images"} 10`, `pinion_disk_size_bytes{of="images"} 100`,
		fmt.Sprintf(`pinion_build_info{version="v1\"2",goversion=%q} 1`, runtime.Version()),
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, text)
		}
	}
	if !regexp.MustCompile(`(?m)^pinion_builds_queued_oldest_seconds 36\d\d`).MatchString(text) ||
		!regexp.MustCompile(`(?m)^process_start_time_seconds 1\.\d+e\+09$`).MatchString(text) {
		t.Errorf("a time is wrong in\n%s", text)
	}
	if strings.Contains(text, strings.Repeat("a", 12)) {
		t.Error("a commit is a label")
	}
}

// TestTheDocumentHasAllMetrics, and the server has all metrics of the document.
func TestTheDocumentHasAllMetrics(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	text := newStage(t).ask(t, http.MethodGet, "/metrics", "").text
	there, named := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (pinion_\w+)`).FindAllStringSubmatch(text,
		-1) {
		there[m[1]] = true
	}
	for _, m := range regexp.MustCompile("\\| `(pinion_\\w+)").FindAllStringSubmatch(string(doc),
		-1) {
		named[m[1]] = true
	}
	if !maps.Equal(there, named) || len(there) == 0 {
		t.Errorf("the server has %v, and the document %v", there, named)
	}
}
