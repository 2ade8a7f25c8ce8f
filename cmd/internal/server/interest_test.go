package server

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

func TestManyCallersShareABuild(t *testing.T) {
	s := newStage(t)
	const callers = 200
	answers := make(chan response, callers)
	for range callers {
		go func() { answers <- s.ask(t, http.MethodPost, "/v1/images/made?wait=true", "") }()
	}
	eventually(t, "all callers", func() bool {
		b := s.backend.build("made")
		return b != nil && b.waiting() == callers
	})
	if list := s.builds.list(); len(list) != 1 || list[0].State != pinion.BuildRunning {
		t.Errorf("the builds are %+v", list)
	}
	s.backend.build("made").finish()
	first := <-answers
	for range callers - 1 {
		if a := <-answers; a.text != first.text || a.StatusCode != 200 {
			t.Fatalf("%d: %s", a.StatusCode, a.text)
		}
	}
}

// TestFault49And50_WhoLeavesOverHTTP: a caller leaves by closing its connection.
func TestFault49And50_WhoLeavesOverHTTP(t *testing.T) {
	s := newStage(t)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := s.try(ctx, http.MethodPost, "/v1/images/made?wait=true", "{}")
		gone <- err
	}()
	eventually(t, "a caller", func() bool {
		b := s.backend.build("made")
		return b != nil && b.waiting() == 1
	})
	b := s.backend.build("made")
	stay, leaveToo := context.WithCancel(t.Context())
	go func() {
		_, err := s.try(stay, http.MethodPost, "/v1/images/made?wait=true", "")
		gone <- err
	}()
	eventually(t, "a second caller", func() bool { return b.waiting() == 2 })
	leave()
	if err := <-gone; err == nil {
		t.Error("a response to a caller that left")
	}
	eventually(t, "one caller", func() bool { return b.waiting() == 1 })
	select {
	case <-b.done:
		t.Fatal("the first to leave ended the build")
	default:
	}
	leaveToo()
	if err := <-gone; err == nil {
		t.Error("a response to a caller that left")
	}
	<-b.done
	eventually(t, "the cancelled build", func() bool {
		l := s.builds.list()
		return len(l) == 1 && l[0].State == pinion.BuildFailed
	})
	s.interestsOf(t, 0)
}

// TestFault62_CancellingAnothersBuild: each caller withdraws its own interest and no other.
func TestFault62_CancellingAnothersBuild(t *testing.T) {
	s := newStage(t)
	mine := decode[acceptance](t, s.ask(t, http.MethodPost, "/v1/images/made", ""))
	theirs := decode[acceptance](t, s.ask(t, http.MethodPost, "/v1/images/made", ""))
	other := decode[acceptance](t, s.ask(t, http.MethodPost, "/v1/images/other", ""))
	at := "/v1/builds/" + mine.Build.ID
	withdraw := func(at, token string) int {
		return s.ask(t, http.MethodDelete, at, "", "Pinion-Interest", token).StatusCode
	}
	if mine.Build.ID != theirs.Build.ID || mine.Interest == theirs.Interest {
		t.Fatalf("%+v, %+v", mine, theirs)
	}
	for _, token := range []string{"", "x", other.Interest, mine.Build.ID} {
		if got := withdraw(at, token); got != 403 {
			t.Errorf("%q is answered by %d", token, got)
		}
	}
	b := s.backend.build("made")
	if got := withdraw(at, mine.Interest); got != 204 {
		t.Errorf("my own interest: %d", got)
	}
	if got := withdraw(at, mine.Interest); got != 403 {
		t.Errorf("the same once more: %d", got)
	}
	if b.waiting() != 1 {
		t.Errorf("%d callers wait", b.waiting())
	}
	for _, path := range []string{"/v1/builds", at, at + "/events"} {
		if path != at+"/events" {
			if a := s.ask(t, http.MethodGet, path, ""); strings.Contains(a.text, theirs.Interest) {
				t.Errorf("%s shows an interest: %s", path, a.text)
			}
		}
	}
	if got := withdraw(at, theirs.Interest); got != 204 {
		t.Errorf("the last interest: %d", got)
	}
	<-b.done
	eventually(t, "the end", func() bool { return withdraw(at, theirs.Interest) == 409 })
}
