package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// patience bounds the wait for an expected event on a busy machine.
const patience = 60 * time.Second

// eventually waits until a condition outside of this process holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-t.Context().Done():
			t.Fatalf("the test ended while it waited for: %s", what)
		case <-deadline.C:
			t.Fatalf("did not come about: %s", what)
		case <-tick.C:
		}
	}
}

// receive takes a value, or fails the test for want of it.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	select {
	case v := <-from:
		return v
	case <-deadline.C:
		t.Fatalf("did not come about: %s", what)
		panic("unreachable")
	}
}

// buildGate is a web server for an ADD in a Dockerfile. It holds a build on any builder in the
// middle of its solve until it is opened.
type buildGate struct {
	url string
	// arrived gets a value for each request, gone one for each whose client left before it was
	// answered.
	arrived, gone chan struct{}
	open          func()
}

func newBuildGate(t *testing.T) *buildGate {
	t.Helper()
	opened := make(chan struct{})
	p := &buildGate{arrived: make(chan struct{}, 64), gone: make(chan struct{}, 64),
		open: sync.OnceFunc(func() {
			close(opened)
		})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.arrived <- struct{}{}
		select {
		case <-opened:
			_, _ = w.Write([]byte("water\n"))
		case <-r.Context().Done():
			p.gone <- struct{}{}
		}
	}))
	p.url = server.URL
	t.Cleanup(func() {
		p.open()
		server.Close()
	})
	return p
}

// add is the line of a Dockerfile that waits for the gate.
func (p *buildGate) add() string { return "ADD " + p.url + "/gate /gate" }
