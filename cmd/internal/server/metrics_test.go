package server

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func TestMetrics(t *testing.T) {
	s := newStage(t, WithVersion(`v1"2`))
	s.ask(t, http.MethodPost, "/v1/images/there", "")
	s.ask(t, http.MethodPost, "/v1/images/unknown", "")
	s.ask(t, http.MethodPost, "/v1/images/there", "x")
	s.ask(t, http.MethodPost, "/v1/images/made", "")
	s.ask(t, http.MethodPost, "/v1/images/other", "")
	s.backend.build("made").finish()
	eventually(t, "one build", func() bool { return s.metrics.inFlight.Load() == 1 })
	text := s.ask(t, http.MethodGet, "/metrics", "").text
	for _, line := range []string{
		`pinion_requests_total{outcome="hit"} 1`, `pinion_requests_total{outcome="failed"} 1`,
		`pinion_requests_total{outcome="refused"} 1`,
		`pinion_requests_total{outcome="accepted"} 2`, `pinion_builds_total{result="built"} 1`,
		`pinion_builds_total{result="failed"} 0`,
		`pinion_builds_in_flight 1`, `pinion_build_duration_seconds_bucket{le="0.5"} 1`,
		`pinion_build_duration_seconds_bucket{le="+Inf"} 1`,
		`pinion_build_duration_seconds_count 1`,
		fmt.Sprintf(`pinion_build_info{version="v1\"2",goversion=%q} 1`, runtime.Version()),
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, text)
		}
	}
	if strings.Contains(text, strings.Repeat("a", 12)) {
		t.Error("a commit is a label")
	}
}

// TestTheDocumentHasAllMetrics, and the server has all metrics of the document.
func TestTheDocumentHasAllMetrics(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/server.md")
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
