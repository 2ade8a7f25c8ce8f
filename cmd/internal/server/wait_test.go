package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// TestWhoseWaitIsOverGetsTheBuild, with an interest in it that outlives the request.
func TestWhoseWaitIsOverGetsTheBuild(t *testing.T) {
	s := newStage(t, withLimits(func(l *limits) { l.patience = 5 * time.Millisecond }))
	for _, wait := range []string{"true", "5ms"} {
		a := s.ask(t, http.MethodPost, "/v1/images/made?wait="+wait, "")
		got := decode[acceptance](t, a)
		if a.StatusCode != 202 || got.Interest == "" ||
			a.Header.Get("Location") != "/v1/builds/"+got.Build.ID {
			t.Fatalf("wait=%s: %d: %s", wait, a.StatusCode, a.text)
		}
		if s.backend.build("made") == nil {
			t.Fatalf("wait=%s: the build was cancelled", wait)
		}
	}
	s.interestsOf(t, 2)
	b := s.backend.build("made")
	answer := make(chan response)
	go func() { answer <- s.ask(t, http.MethodPost, "/v1/images/made?wait=1h", "") }()
	eventually(t, "a caller with patience", func() bool { return b.waiting() == 3 })
	b.finish()
	if a := <-answer; a.StatusCode != 200 {
		t.Errorf("a caller with patience got %d: %s", a.StatusCode, a.text)
	}
	s.interestsOf(t, 0)
}

func TestTimesToWait(t *testing.T) {
	s := newStage(t)
	for _, wait := range []string{"", "0", "false", "0s"} {
		a := s.ask(t, http.MethodPost, "/v1/images/made?wait="+wait, "")
		if a.StatusCode != 202 {
			t.Errorf("wait=%s: %d", wait, a.StatusCode)
		}
	}
	for _, wait := range []string{"10", "-1s", "25h", "perhaps", "1h&wait=2h", "%zz"} {
		a := s.ask(t, http.MethodPost, "/v1/images/made?wait="+wait, "")
		if a.StatusCode != 400 || !strings.Contains(a.text, "bad-request") {
			t.Errorf("wait=%s: %d: %s", wait, a.StatusCode, a.text)
		}
	}
}

// cutOff requests an image and waits, and goes away once the build is under way.
func (s *stage) cutOff(t *testing.T, name string) *fakeBuild {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := s.try(ctx, http.MethodPost, "/v1/images/"+name+"?wait=true", "")
		gone <- err
	}()
	eventually(t, "a caller", func() bool {
		b := s.backend.build(name)
		return b != nil && b.waiting() == 1
	})
	b := s.backend.build(name)
	leave()
	if err := <-gone; err == nil {
		t.Error("a response to a caller that left")
	}
	return b
}

// TestABuildOutlivesACallerThatWasCutOff, so that a proxy's time limit ends no build: a caller that
// asks again joins it.
func TestABuildOutlivesACallerThatWasCutOff(t *testing.T) {
	s := newStage(t, WithLinger(time.Hour))
	b := s.cutOff(t, "made")
	eventually(t, "an interest that lingers", func() bool {
		s.builds.mu.Lock()
		defer s.builds.mu.Unlock()
		return len(s.builds.order[0].interests) == 1
	})
	answer := make(chan response)
	go func() { answer <- s.ask(t, http.MethodPost, "/v1/images/made?wait=true", "") }()
	eventually(t, "the caller again", func() bool { return b.waiting() == 2 })
	b.finish()
	if a := <-answer; a.StatusCode != 200 || len(s.builds.list()) != 1 {
		t.Errorf("%d, builds %+v", a.StatusCode, s.builds.list())
	}
	s.interestsOf(t, 0)
}

func TestABuildThatNobodyAsksForAgainIsCancelled(t *testing.T) {
	s := newStage(t, WithLinger(time.Millisecond))
	b := s.cutOff(t, "made")
	<-b.done
	if f := b.Status().Failure; f == nil || f.Class != pinion.ClassCancelled {
		t.Errorf("%+v", b.Status())
	}
	s.interestsOf(t, 0)
}

// TestNothingLingersAtTheEnd: a server that ends cancels the builds.
func TestNothingLingersAtTheEnd(t *testing.T) {
	s := newStage(t, WithLinger(time.Hour))
	b := s.cutOff(t, "made")
	s.stop(t.Context(), 0)
	<-b.done
	s.interestsOf(t, 0)
}

func TestUnknownQueryParametersAreRefused(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		method, path, word string
		want               int
	}{
		{"POST", "/v1/images/there?wiat=true", `\"wiat\" is unknown; known are wait`, 400},
		{"POST", "/v1/images/there?wait=true&Wait=true", `\"Wait\"`, 400},
		{"GET", "/v1/templates?limit=1", `\"limit\" is unknown; there are none`, 400},
		{"GET", "/metrics?x", `\"x\"`, 400},
		{"GET", "/healthz?x", "ok", 200},
		{"GET", "/readyz?x", "ready", 200},
	} {
		if a := s.ask(t, c.method, c.path, ""); a.StatusCode != c.want ||
			!strings.Contains(a.text, c.word) {
			t.Errorf("%s %s: %d: %s", c.method, c.path, a.StatusCode, a.text)
		}
	}
	if len(s.backend.calls) != 0 {
		t.Error("an image was requested")
	}
}

// TestProbesNeedNoToken, and do not tell strangers what the server uses.
func TestProbesNeedNoToken(t *testing.T) {
	secret := strings.Repeat("t", MinToken)
	s := newStage(t, WithToken(secret))
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 401} {
		if a := s.ask(t, http.MethodGet, path, ""); a.StatusCode != want {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	s.backend.ready = &pinion.Error{Origin: pinion.OriginDocker, Err: pinion.ErrStore}
	text := s.backend.ready.Error()
	stranger := s.ask(t, http.MethodGet, "/readyz", "")
	friend := s.ask(t, http.MethodGet, "/readyz", "", "Authorization", "Bearer "+secret)
	if stranger.StatusCode != 503 || strings.Contains(stranger.text, text) {
		t.Errorf("without the token: %d: %s", stranger.StatusCode, stranger.text)
	}
	if friend.StatusCode != 503 || !strings.Contains(friend.text, text) {
		t.Errorf("with the token: %d: %s", friend.StatusCode, friend.text)
	}
}
