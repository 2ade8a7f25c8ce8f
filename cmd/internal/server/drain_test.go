package server

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// drainStage is a server that the test shuts down.
type drainStage struct {
	*stage
	stop context.CancelFunc
	done chan error
}

func newDrainStage(t *testing.T, drain time.Duration) *drainStage {
	t.Helper()
	s := newStage(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	d := &drainStage{s, stop, make(chan error, 1)}
	s.url = "http://" + l.Addr().String()
	go func() { d.done <- s.Serve(ctx, drain, l) }()
	return d
}

func TestDraining(t *testing.T) {
	d := newDrainStage(t, time.Minute)
	waiting, streamed := make(chan response, 1), make(chan response, 1)
	got := decode[acceptance](t, d.ask(t, http.MethodPost, "/v1/images/made", ""))
	go func() { waiting <- d.ask(t, http.MethodPost, "/v1/images/made?wait=true", "") }()
	go func() { streamed <- d.ask(t, http.MethodGet, "/v1/builds/"+got.Build.ID+"/events", "") }()
	b := d.backend.build("made")
	eventually(t, "callers", func() bool { return b.waiting() == 2 && len(d.streams) == 1 })
	d.stop()
	eventually(t, "no readiness", func() bool {
		return d.ask(t, http.MethodGet, "/readyz", "").StatusCode == 503
	})
	if a := d.ask(t, http.MethodPost, "/v1/images/there", ""); a.StatusCode != 503 ||
		a.Header.Get("Retry-After") == "" {
		t.Errorf("%d while draining", a.StatusCode)
	}
	b.finish()
	if a := <-waiting; a.StatusCode != 200 {
		t.Errorf("the waiting caller got %d", a.StatusCode)
	}
	if a := <-streamed; !strings.Contains(a.text, "event: done") {
		t.Errorf("the stream ended with %q", a.text)
	}
	if err := <-d.done; err != nil {
		t.Error(err)
	}
}

// TestDrainingWaitsForLookUps and for the builds that they start.
func TestDrainingWaitsForLookUps(t *testing.T) {
	for _, query := range []string{"?wait=true", ""} {
		t.Run(query, func(t *testing.T) {
			d := newDrainStage(t, time.Minute)
			answers := make(chan response, 1)
			go func() { answers <- d.ask(t, http.MethodPost, "/v1/images/held"+query, "") }()
			<-d.backend.lookUps
			d.stop()
			eventually(t, "no readiness", func() bool {
				return d.ask(t, http.MethodGet, "/readyz", "").StatusCode == 503
			})
			<-d.backend.lookUps
			if query == "" {
				if a := <-answers; a.StatusCode != 202 {
					t.Errorf("%d: %s", a.StatusCode, a.text)
				}
			}
			eventually(t, "a build", func() bool { return d.backend.build("held") != nil })
			d.backend.build("held").finish()
			if query != "" {
				if a := <-answers; a.StatusCode != 200 {
					t.Errorf("%d: %s", a.StatusCode, a.text)
				}
			}
			if err := <-d.done; err != nil {
				t.Error(err)
			}
			if l := d.builds.list(); len(l) != 1 || l[0].State != pinion.BuildDone {
				t.Errorf("%+v", l)
			}
		})
	}
}

// TestDrainingCutsOffLookUps that exceed the drain time. They count as cancelled.
func TestDrainingCutsOffLookUps(t *testing.T) {
	d := newDrainStage(t, 10*time.Millisecond)
	answers := make(chan response, 1)
	go func() { answers <- d.ask(t, http.MethodPost, "/v1/images/held", "") }()
	<-d.backend.lookUps
	d.stop()
	if a := <-answers; a.StatusCode != 503 || decode[problem](t, a).Class != pinion.ClassCancelled {
		t.Errorf("%d: %s", a.StatusCode, a.text)
	}
	if err := <-d.done; err != nil {
		t.Error(err)
	}
	d.metrics.mu.Lock()
	defer d.metrics.mu.Unlock()
	if n := d.metrics.requests; n["cancelled"] != 1 || n["failed"] != 0 {
		t.Errorf("the outcomes are %v", n)
	}
}

func TestDrainingIsBounded(t *testing.T) {
	d := newDrainStage(t, 10*time.Millisecond)
	waiting, streamed := make(chan response, 1), make(chan response, 1)
	got := decode[acceptance](t, d.ask(t, http.MethodPost, "/v1/images/made", ""))
	go func() { waiting <- d.ask(t, http.MethodPost, "/v1/images/made?wait=true", "") }()
	go func() { streamed <- d.ask(t, http.MethodGet, "/v1/builds/"+got.Build.ID+"/events", "") }()
	b := d.backend.build("made")
	eventually(t, "callers", func() bool { return b.waiting() == 2 && len(d.streams) == 1 })
	if _, err := d.Warm(t.Context(), "made"); err != nil || b.waiting() != 3 {
		t.Errorf("%v, %d callers", err, b.waiting())
	}
	d.stop()
	if a := <-waiting; a.StatusCode != 503 || decode[problem](t, a).Class != pinion.ClassCancelled {
		t.Errorf("the waiting caller got %d: %s", a.StatusCode, a.text)
	}
	if a := <-streamed; !strings.Contains(a.text, "event: failed") {
		t.Errorf("the stream ended with %q", a.text)
	}
	if err := <-d.done; err != nil {
		t.Error(err)
	}
}
