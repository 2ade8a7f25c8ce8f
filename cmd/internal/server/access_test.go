package server

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/page"
)

// readCallers reads a file with an entry for each line, whose token is the name in capitals.
func readCallers(t *testing.T, entries ...string) access.List {
	t.Helper()
	text := "tokens:\n"
	for _, e := range entries {
		name, _, _ := strings.Cut(e, ",")
		sum := sha256.Sum256([]byte(strings.ToUpper(name)))
		text += "- {sha256: " + hex.EncodeToString(sum[:]) + ", name: " + e + "}\n"
	}
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := access.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestRights: each caller may do what its token allows, for the templates of the token.
func TestRights(t *testing.T) {
	var log syncBuffer
	list := readCallers(t, "reader, rights: [see]", "one, templates: [there]",
		"stopper, rights: [see, cancel]", "cleaner, rights: [prune]")
	s := newStage(t, WithCallers(func() access.List { return list }),
		WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	ask := func(who, method, path string) response {
		return s.ask(t, method, path, "", "Authorization", "Bearer "+strings.ToUpper(who))
	}
	want := func(status int, who, method, path string) {
		t.Helper()
		if a := ask(who, method, path); a.StatusCode != status {
			t.Errorf("%s: %s %s is answered by %d, want %d: %s", who, method, path, a.StatusCode,
				status, a.text)
		}
	}
	want(401, "nobody", http.MethodGet, "/v1/builds")
	want(200, "reader", http.MethodGet, "/v1/builds")
	want(403, "reader", http.MethodPost, "/v1/images/there")
	want(200, "reader", http.MethodGet, "/v1/usage")
	want(403, "cleaner", http.MethodGet, "/v1/builds")
	want(200, "cleaner", http.MethodPost, "/v1/prune")
	want(403, "stopper", http.MethodPost, "/v1/prune")

	want(200, "one", http.MethodPost, "/v1/images/there")
	want(404, "one", http.MethodPost, "/v1/images/made")
	want(404, "one", http.MethodGet, "/v1/templates/other")
	for _, path := range []string{"/v1/usage", "/v1/doctor", "/metrics"} {
		want(403, "one", http.MethodGet, path)
	}
	s.fixed = access.List{access.NewCaller("", "T", access.Build)}
	a := ask("t", http.MethodPost, "/v1/images/made")
	at := a.Header.Get("Location")
	for _, path := range []string{at, at + "/events"} {
		want(404, "one", http.MethodGet, path)
	}
	want(404, "one", http.MethodPost, at+"/retry")
	want(403, "one", http.MethodPost, at+"/cancel")
	if a := ask("one", http.MethodGet, "/v1/builds"); strings.Contains(a.text, "made") {
		t.Errorf("one sees %s", a.text)
	}
	if a := ask("reader", http.MethodGet, "/v1/builds"); !strings.Contains(a.text, "made") {
		t.Errorf("the reader sees %s", a.text)
	}
	all, some := s.recent(t.Context(), list[0]), s.recent(t.Context(), list[1])
	if !strings.Contains(all, "made") || strings.Contains(some, "made") {
		t.Errorf("the reader follows %s, and one %s", all, some)
	}
	want(204, "stopper", http.MethodPost, at+"/cancel")
	for who, what := range map[string]string{"cleaner": "POST /v1/prune: 200",
		"one": "POST /v1/images/made: 404"} {
		line := "audit: " + who + " by Go-http-client/1.1 at 127.0.0.1: " + what
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log lacks %q:\n%s", line, &log)
		}
	}
}

// TestRequestsPerMinute: a caller beyond its limit is told when to come again.
func TestRequestsPerMinute(t *testing.T) {
	list := readCallers(t, "slow, requests_per_minute: 2", "fast")
	s := newStage(t, WithCallers(func() access.List { return list }))
	for i, status := range []int{200, 200, 429, 429} {
		a := s.ask(t, http.MethodGet, "/v1/builds", "", "Authorization", "Bearer SLOW")
		if a.StatusCode != status || status == 429 && a.Header.Get("Retry-After") == "" {
			t.Errorf("request %d: %d %v", i, a.StatusCode, a.Header)
		}
	}
	a := s.ask(t, http.MethodGet, "/v1/builds", "", "Authorization", "Bearer FAST")
	if a.StatusCode != 200 {
		t.Errorf("another caller: %d", a.StatusCode)
	}
}

// TestARevokedToken ends the session of its browser; another token of the same name does not give
// it back.
func TestARevokedToken(t *testing.T) {
	list := readCallers(t, "reader")
	s := newStage(t, WithCallers(func() access.List { return list }))
	b := newBrowser(t, s)
	b.signIn(t, "READER")
	b.want(t, 200, http.MethodGet, "/v1/builds", "")
	b.want(t, 403, http.MethodPost, "/v1/prune", "", page.FormHeader, b.form)
	list = readCallers(t, "other")
	b.want(t, 401, http.MethodGet, "/v1/builds", "")
	list[0].Name = "reader"
	b.want(t, 401, http.MethodGet, "/v1/builds", "")
}
