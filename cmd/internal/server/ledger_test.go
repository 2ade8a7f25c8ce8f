package server

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestWarm(t *testing.T) {
	s := newStage(t)
	c, err := s.Warm(t.Context(), "made")
	if err != nil || c.Hit() {
		t.Fatal(err)
	}
	s.MarkSuperseded("made", revision(t, "b"), time.Now())
	if l := s.builds.list(); len(l) != 1 || l[0].SupersededBy != revision(t, "b") {
		t.Errorf("%+v", l)
	}
	c.Leave()
	<-c.Done()
	if hit, err := s.Warm(t.Context(), "there"); err != nil || !hit.Hit() {
		t.Error(err)
	}
}

// TestANewerHeadSupersedes running builds of the same template.
func TestANewerHeadSupersedes(t *testing.T) {
	s := newStage(t)
	s.ask(t, http.MethodPost, "/v1/images/made", "")
	old := s.backend.build("made")
	s.backend.mu.Lock()
	delete(s.backend.builds, "made")
	s.backend.head = revision(t, "b")
	s.backend.mu.Unlock()
	s.ask(t, http.MethodPost, "/v1/images/made", "")
	s.ask(t, http.MethodPost, "/v1/images/other", "")
	for _, b := range s.builds.list() {
		if got, want := !b.SupersededBy.IsZero(), b.ID == old.ID(); got != want {
			t.Errorf("%+v", b)
		}
	}
}

// TestALateAnswerSupersedesNothingNewer: the first look-up may end last.
func TestALateAnswerSupersedesNothingNewer(t *testing.T) {
	s := newStage(t)
	before := time.Now()
	s.backend.head = revision(t, "b")
	newer := newFakeBuild(s.backend, "held")
	s.builds.add(newer, true, time.Now())
	older := newFakeBuild(&fakeBackend{head: revision(t, "a"), builds: map[string]*fakeBuild{}},
		"held")
	s.builds.add(older, true, before)
	s.MarkSuperseded("held", revision(t, "a"), before)
	for _, b := range s.builds.list() {
		if !b.SupersededBy.IsZero() {
			t.Errorf("%+v", b)
		}
	}
	newer.finish()
	older.finish()
}

func TestEndedBuildsAreForgotten(t *testing.T) {
	s := newStage(t, withLimits(func(l *limits) { l.history = 5 }))
	for i := range 20 {
		name := fmt.Sprintf("made%d", i)
		s.ask(t, http.MethodPost, "/v1/images/"+name, "")
		s.backend.build(name).finish()
		eventually(t, "its end", func() bool { return s.metrics.inFlight.Load() == 0 })
	}
	eventually(t, "five builds", func() bool { return len(s.builds.list()) == 5 })
	if l := s.builds.list(); l[0].Name != "made19" {
		t.Errorf("the latest is %+v", l[0])
	}
	s.interestsOf(t, 0)
}
