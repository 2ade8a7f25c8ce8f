package server

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestIdlenessIsCountedFromTheLastEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &idleness{limit: time.Minute}
		begun := time.Now()
		expired := i.expired(t.Context())
		i.enter() // a request, and a build that lasts longer
		i.enter()
		time.Sleep(50 * time.Second)
		i.leave()
		time.Sleep(10 * time.Minute)
		select {
		case <-expired:
			t.Fatal("it expired during a build")
		default:
		}
		i.leave()
		<-expired
		if got := time.Since(begun); got != 50*time.Second+11*time.Minute {
			t.Errorf("it expired after %s", got)
		}
	})
}

func TestIdlenessEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		i := &idleness{limit: time.Minute}
		expired := i.expired(ctx)
		stop()
		time.Sleep(time.Hour)
		select {
		case <-expired:
			t.Error("it expired after its context")
		default:
		}
	})
}

// TestIdleExit covers a server on a port: a build without callers keeps it alive, and so
// does a request.
func TestIdleExit(t *testing.T) {
	s := newStage(t, WithIdleExit(200*time.Millisecond))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- s.Serve(t.Context(), time.Minute, l) }()
	if a := s.ask(t, http.MethodPost, "/v1/images/made", ""); a.StatusCode != http.StatusAccepted {
		t.Fatalf("%d: %s", a.StatusCode, a.text)
	}
	select {
	case err := <-done:
		t.Fatalf("it ended during a build: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	s.backend.build("made").finish()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it did not end")
	}
}
