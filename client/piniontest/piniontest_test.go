package piniontest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/client"
)

// ask sends a request as programs without the client do.
func ask(t *testing.T, s *Server, method, path string, header ...string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestWaitingRequests(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Set("one", Template{Image: client.Image{ID: "sha256:mine", Platform: "linux/arm64"}})
	s.Set("pulled", Template{Image: client.Image{Mode: "registry", Outcome: client.OutcomePulled,
		Reference: "registry.example.com/x:latest"}})
	s.Set("broken", Template{Failure: &client.Failure{Class: client.ClassBuild, Message: "exit 1"},
		Log: []string{"line"}})
	for _, c := range []struct {
		name   string
		status int
		words  string
	}{
		{"one", 200, `"outcome":"built"`}, {"one", 200, `"outcome":"hit"`},
		{"one", 200, `"image_id":"sha256:mine"`}, {"one", 200, `"platform":"linux/arm64"`},
		{"pulled", 200, `"outcome":"pulled"`}, {"broken", 422, `"log":["line"]`},
		{"broken", 422, `"exit_code":20`}, {"none", 404, `"class":"not-found"`},
	} {
		status, text := ask(t, s, http.MethodPost, "/v1/images/"+c.name+"?wait=true")
		if status != c.status || !strings.Contains(text, c.words) {
			t.Errorf("%s: %d %s, want %s", c.name, status, text, c.words)
		}
	}
	if n := s.Builds("broken"); n != 2 {
		t.Errorf("a failed build is tried again: %d builds", n)
	}
}

func TestRefusals(t *testing.T) {
	s := NewServer()
	defer s.Close()
	release := make(chan struct{})
	s.Set("slow", Template{Release: release})
	_, text := ask(t, s, http.MethodPost, "/v1/images/slow")
	var a client.Accepted
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	at := "/v1/builds/" + a.Build.ID
	want := func(status int, method, path string, header ...string) {
		t.Helper()
		if got, text := ask(t, s, method, path, header...); got != status {
			t.Errorf("%s %s: %d %s", method, path, got, text)
		}
	}
	want(404, http.MethodGet, "/nowhere")
	want(404, http.MethodGet, "/v1/builds/none")
	want(400, http.MethodPost, "/v1/images/slow?wait=x")
	want(202, http.MethodPost, "/v1/images/slow?wait=1ms")
	want(400, http.MethodGet, at+"/events", "Last-Event-ID", "x")
	want(403, http.MethodDelete, at)
	want(200, http.MethodGet, at)
	close(release)
	want(200, http.MethodGet, at+"/events")
	want(204, http.MethodGet, at+"/events", "Last-Event-ID", "99")
	want(409, http.MethodDelete, at, "Pinion-Interest", a.Interest)
	want(200, http.MethodGet, "/v1/images")
	want(200, http.MethodGet, "/healthz")
}
