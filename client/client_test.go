package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/client"
	"git.moleculesai.app/molecule-ai/pinion/client/piniontest"
)

func newFake(t *testing.T) *piniontest.Server {
	t.Helper()
	fake := piniontest.NewServer()
	t.Cleanup(fake.Close)
	return fake
}

func newClient(t *testing.T, address string, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(address, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewChecksTheAddress(t *testing.T) {
	for _, good := range []string{"unix:///run/pinion.sock", "http://127.0.0.1:7466",
		"https://pinion.example.com", "https://example.com/pinion/"} {
		if _, err := client.New(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "unix://relative", "/run/pinion.sock", "tcp://127.0.0.1:7466",
		"http://", "http://user:s3cret@host", "http://host/?a=b", "http://host\x00"} {
		if _, err := client.New(bad); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q gives %v", bad, err)
		}
	}
}

func TestEnsureBuildsOnceAndThenHits(t *testing.T) {
	fake := newFake(t)
	fake.Set("one", piniontest.Template{Log: []string{"hello"}})
	var types []string
	seen := func(e client.Event) {
		types = append(types, e.Type)
		if e.Name != "one" || e.Time.IsZero() {
			t.Errorf("event %+v", e)
		}
	}
	built, err := fake.Client().Ensure(t.Context(), "one", seen)
	if err != nil {
		t.Fatal(err)
	}
	if built.Outcome != client.OutcomeBuilt || !strings.HasPrefix(built.ID, "sha256:") ||
		!strings.HasPrefix(built.Reference, "molecule-local/workspace-template-one:") {
		t.Errorf("built %+v", built)
	}
	if got := strings.Join(types, " "); got != "resolved fetching step log step done" {
		t.Errorf("events: %s", got)
	}
	types = nil
	again, err := fake.Client().Ensure(t.Context(), "one", seen)
	if err != nil || again.Outcome != client.OutcomeHit || again.ID != built.ID {
		t.Errorf("the second call gives %+v, %v", again, err)
	}
	if got := strings.Join(types, " "); got != "hit done" {
		t.Errorf("events of a hit: %s", got)
	}
	if fake.Requests("one") != 2 || fake.Builds("one") != 1 {
		t.Errorf("%d requests, %d builds", fake.Requests("one"), fake.Builds("one"))
	}
}

func TestEnsureOverSocket(t *testing.T) {
	fake := newFake(t)
	fake.Set("one", piniontest.Template{})
	dir, err := os.MkdirTemp("", "pinion-") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: fake.Handler()}
	defer srv.Close()
	go func() { _ = srv.Serve(l) }()
	c := newClient(t, "unix://"+path)
	if _, err := c.Ensure(t.Context(), "one", nil); err != nil {
		t.Error(err)
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFailureOfABuildHasTheLastLines(t *testing.T) {
	fake := newFake(t)
	fake.Set("broken", piniontest.Template{Log: []string{"reading", "E: no such package"},
		Failure: &client.Failure{Class: client.ClassBuild, Origin: "buildkit",
			Step: "[2/3] RUN apt-get", Message: "broken: buildkit: exit code 100"}})
	var last client.Event
	_, err := fake.Client().Ensure(t.Context(), "broken", func(e client.Event) { last = e })
	var e *client.Error
	if !errors.As(err, &e) || e.Class != client.ClassBuild || client.ClassOf(err) != e.Class {
		t.Fatalf("got %v", err)
	}
	if len(e.Log) != 2 || e.Log[1] != "E: no such package" || e.Step != "[2/3] RUN apt-get" {
		t.Errorf("step %q, log: %v", e.Step, e.Log)
	}
	if err.Error() != "broken: buildkit: exit code 100" || last.Type != client.EventFailed {
		t.Errorf("%q after %+v", err, last)
	}
	if e.Class.Message() != "The template's build failed. It needs a change of the template." {
		t.Errorf("to users: %s", e.Class.Message())
	}
}

func TestFailureOfALookUp(t *testing.T) {
	fake := newFake(t)
	fake.Set("away", piniontest.Template{Failure: &client.Failure{Class: client.ClassUnreachable,
		Origin: "git server", Step: "s", Message: "away: git server: connection refused"}})
	for name, want := range map[string]client.Error{
		"away": {Class: client.ClassUnreachable, Status: 502, ExitCode: 12,
			Origin: "git server"},
		"none":      {Class: client.ClassNotFound, Status: 404, ExitCode: 10, Origin: "catalogue"},
		"../escape": {Class: client.ClassNotFound, Status: 404, ExitCode: 10, Origin: "catalogue"},
	} {
		var types []string
		_, err := fake.Client().Ensure(t.Context(), name,
			func(e client.Event) { types = append(types, e.Type) })
		var e *client.Error
		if !errors.As(err, &e) || e.Class != want.Class || e.Status != want.Status ||
			e.ExitCode != want.ExitCode || e.Origin != want.Origin || e.Name != name ||
			e.Kind != string(want.Class) {
			t.Errorf("%s: %+v", name, e)
		}
		if strings.Join(types, " ") != "failed" || (e.Step == "s") != (name == "away") {
			t.Errorf("%s: events %v, step %q", name, types, e.Step)
		}
	}
}

func TestCallersShareABuildAndTheLastCancelsIt(t *testing.T) {
	fake := newFake(t)
	release := make(chan struct{})
	defer close(release)
	fake.Set("slow", piniontest.Template{Release: release})
	c := fake.Client()
	_, accepted, err := c.Request(t.Context(), "slow")
	if err != nil || accepted == nil {
		t.Fatal(accepted, err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	_, err = c.Ensure(ctx, "slow", nil)
	if !errors.Is(err, context.DeadlineExceeded) || client.ClassOf(err) != client.ClassCancelled {
		t.Errorf("got %v", err)
	}
	for _, word := range []string{"slow", "deadline exceeded after", "step 1/1 RUN build"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q lacks %q", err, word)
		}
	}
	b, err := c.Build(t.Context(), accepted.Build.ID)
	if err != nil || b.State != "running" || fake.Builds("slow") != 1 {
		t.Errorf("%+v, %v, %d builds", b, err, fake.Builds("slow"))
	}
	if err := c.Cancel(t.Context(), b.ID, "another's"); err == nil {
		t.Error("another's interest was withdrawn")
	}
	if err := c.Cancel(t.Context(), b.ID, accepted.Interest); err != nil {
		t.Error(err)
	}
	if err := c.Events(t.Context(), b.ID, 0, func(client.Event) {}); err != nil {
		t.Error(err)
	}
	list, err := c.Builds(t.Context())
	if err != nil || len(list) != 1 || list[0].State != "failed" ||
		list[0].Failure.Class != client.ClassCancelled {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestLists(t *testing.T) {
	fake := newFake(t)
	fake.Set("one", piniontest.Template{})
	c := fake.Client()
	img, err := c.Ensure(t.Context(), "one", nil, client.NoCache(), client.Pull(),
		client.AtRevision(strings.Repeat("a", 40)), client.AnyRevision())
	if err != nil {
		t.Fatal(err)
	}
	images, err := c.Images(t.Context())
	if err != nil || len(images) != 1 || images[0].ID != img.ID {
		t.Errorf("%+v, %v", images, err)
	}
	templates, err := c.Templates(t.Context())
	if err != nil || len(templates) != 1 || templates[0].Name != "one" {
		t.Errorf("%+v, %v", templates, err)
	}
}

func TestNoServer(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	for _, address := range []string{s.URL, "unix:///nonexistent/pinion.sock"} {
		_, err := newClient(t, address).Ensure(t.Context(), "one", nil)
		if !errors.Is(err, client.ErrNoServer) || !strings.Contains(err.Error(), address) ||
			client.ClassOf(err) != client.ClassGeneral {
			t.Errorf("got %v", err)
		}
	}
}

func TestAnswersOfOthers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/login", http.StatusFound)
		},
		"a false problem": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte("<html>"))
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) },
	} {
		s := httptest.NewServer(h)
		img, err := newClient(t, s.URL).Ensure(t.Context(), "one", nil)
		if err == nil || img.ID != "" || client.ClassOf(err) != client.ClassGeneral {
			t.Errorf("%s: %+v, %v", name, img, err)
		}
		s.Close()
	}
}

func TestTokenIsSent(t *testing.T) {
	fake := newFake(t)
	fake.Set("one", piniontest.Template{})
	inner := fake.Handler()
	var refused atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			refused.Add(1)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"type":"urn:pinion:problem:unauthenticated","title":"No",
				"status":401,"detail":"send a token","more":[1]}`))
			return
		}
		inner.ServeHTTP(w, r)
	}))
	defer s.Close()
	if _, err := newClient(t, s.URL, client.WithToken("sesame"),
		client.WithTransport(http.DefaultTransport)).Ensure(t.Context(), "one", nil); err != nil {
		t.Error(err)
	}
	_, err := newClient(t, s.URL).Ensure(t.Context(), "one", nil)
	var e *client.Error
	if !errors.As(err, &e) || e.Kind != "unauthenticated" || e.Class != client.ClassGeneral ||
		err.Error() != "one: send a token" || refused.Load() != 1 {
		t.Errorf("got %+v", err)
	}
}

// TestHeaderOfTheCallersContext is on each request, and takes the place of no header of the
// client's.
func TestHeaderOfTheCallersContext(t *testing.T) {
	fake := newFake(t)
	fake.Set("one", piniontest.Template{})
	inner := fake.Handler()
	var wrong, all atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all.Add(1)
		if r.Header.Get("Traceparent") != "of-the-caller" ||
			r.Header.Get("Authorization") != "Bearer sesame" {
			wrong.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	defer s.Close()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "of-the-caller")
	c := newClient(t, s.URL, client.WithToken("sesame"),
		client.WithHeader(func(ctx context.Context, h http.Header) {
			text, _ := ctx.Value(key{}).(string)
			h.Set("Traceparent", text)
			h.Set("Authorization", "Bearer other")
		}))
	if _, err := c.Ensure(ctx, "one", nil); err != nil {
		t.Error(err)
	}
	if all.Load() == 0 || wrong.Load() > 0 {
		t.Errorf("%d of %d requests are wrong", wrong.Load(), all.Load())
	}
}
