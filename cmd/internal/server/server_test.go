package server

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

func decode[T any](t testing.TB, a response) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.text), &v); err != nil {
		t.Fatalf("%v: %s", err, a.text)
	}
	return v
}

func TestAHitIsAnsweredAtOnce(t *testing.T) {
	var names []string
	s := newStage(t, WithObserver(func(name string) { names = append(names, name) }))
	for _, query := range []string{"", "?wait=true", "?wait=0"} {
		a := s.ask(t, http.MethodPost, "/v1/images/there"+query, "")
		if img := decode[pinion.Image](t, a); a.StatusCode != 200 || img.ID != "sha256:there" ||
			img.Outcome != pinion.OutcomeHit {
			t.Errorf("%s is answered by %d: %s", query, a.StatusCode, a.text)
		}
	}
	s.ask(t, http.MethodPost, "/v1/images/unknown", "")
	if strings.Join(names, " ") != "there there there" {
		t.Errorf("observed %v", names)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{"GET", "/x", 404, ""}, {"GET", "/v2/images", 404, ""},
		{"GET", "/v1/images/a/b/c", 404, ""},
		{"GET", "/v1/images/there", 405, "POST, OPTIONS"},
		{"PUT", "/v1/builds/x", 405, "DELETE, GET, HEAD, OPTIONS"},
		{"OPTIONS", "/v1/builds/x", 204, "DELETE, GET, HEAD, OPTIONS"},
		{"OPTIONS", "/nowhere", 404, ""},
		{"HEAD", "/healthz", 200, ""}, {"HEAD", "/v1/builds", 200, ""},
	} {
		a := s.ask(t, c.method, c.path, "")
		if a.StatusCode != c.want || a.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s is answered by %d, Allow %q", c.method, c.path, a.StatusCode,
				a.Header.Get("Allow"))
		}
		if c.want >= 400 && a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %s", c.method, c.path, a.text)
		}
	}
}

func TestProblemsAreCleanAndPanicsAreAnswered(t *testing.T) {
	var log syncBuffer
	s := newStage(t, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	for _, name := range []string{"leaks", "panics"} {
		a := s.ask(t, http.MethodPost, "/v1/images/"+name, "")
		p := decode[problem](t, a)
		if a.StatusCode != 500 || p.Status != 500 ||
			strings.Contains(a.text+log.String(), canary) || strings.Contains(a.text, "\x1b") {
			t.Errorf("%d: %s\n%s", a.StatusCode, a.text, &log)
		}
	}
	a := s.ask(t, http.MethodPost, "/v1/images/unknown", "")
	if p := decode[problem](t, a); p.Class != pinion.ClassNotFound || p.ExitCode != 10 ||
		p.Origin != pinion.OriginCatalogue || p.Instance != "/v1/images/unknown" {
		t.Errorf("%+v", p)
	}
	for name, pause := range map[string]string{"limited": "91", "away": ""} {
		a := s.ask(t, http.MethodPost, "/v1/images/"+name, "")
		if a.StatusCode != 502 || a.Header.Get("Retry-After") != pause {
			t.Errorf("%s: %d, Retry-After %q", name, a.StatusCode, a.Header.Get("Retry-After"))
		}
	}
}
