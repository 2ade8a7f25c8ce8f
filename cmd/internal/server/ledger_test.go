package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
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

// TestHeadsOfPullRequestsSupersedeTheirOwn: neither one of another pull request nor that of the
// branch.
func TestHeadsOfPullRequestsSupersedeTheirOwn(t *testing.T) {
	s := newStage(t)
	add := func(pull int, head string) *fakeBuild {
		b := newFakeBuild(&fakeBackend{head: revision(t, head), builds: map[string]*fakeBuild{}},
			"held")
		b.status.PullRequest = pull
		s.builds.add(b, true, time.Now())
		return b
	}
	old := add(7, "a")
	for _, b := range []*fakeBuild{old, add(0, "a"), add(8, "a"), add(7, "b")} {
		defer b.finish()
	}
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

// TestEndsAreLogged: of builds that nobody waits for, and of requests that come to nothing.
func TestEndsAreLogged(t *testing.T) {
	var log syncBuffer
	s := newStage(t, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	s.ask(t, http.MethodPost, "/v1/images/made", "")
	s.backend.build("made").end(pinion.Image{}, pinion.ErrBuild)
	got := decode[acceptance](t, s.ask(t, http.MethodPost, "/v1/images/withdrawn", ""))
	s.ask(t, http.MethodDelete, "/v1/builds/"+got.Build.ID, "", "Pinion-Interest", got.Interest)
	warm, err := s.Warm(t.Context(), "good")
	if err != nil {
		t.Fatal(err)
	}
	b := s.backend.build("good")
	b.setStatus(func(b *pinion.BuildStatus) { b.AskedBy, b.Prewarmed = "watch", true })
	b.finish()
	<-warm.Done()
	s.ask(t, http.MethodPost, "/v1/images/unknown", "")
	s.ask(t, http.MethodPost, "/v1/images/there?wait=x", "")
	for _, word := range []string{
		"level=WARN msg=\"build of molecule-local/made:1 failed after",
		"level=INFO msg=\"build of molecule-local/withdrawn:1 was cancelled after",
		"level=INFO msg=\"build of molecule-local/good:1 ended after",
		"(built); asked for by watch, ahead of requests\"",
		`request for \"unknown\": 404 not-found: `, `request for \"there\": 400 bad-request: `,
	} {
		eventually(t, word, func() bool { return strings.Contains(log.String(), word) })
	}
}

// syncBuffer is a log that tests read while the server writes it.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestReports: each build is reported when it begins and when it has ended, once, however many
// callers it has; of hits, only those of a watcher are.
func TestReports(t *testing.T) {
	var mu sync.Mutex
	var got []string
	seen := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(got, ", ")
	}
	s := newStage(t, WithReports(func(b pinion.BuildStatus) {
		mu.Lock()
		defer mu.Unlock()
		text := b.Name + " " + string(b.State)
		if !b.SupersededBy.IsZero() {
			text += " superseded"
		}
		got = append(got, text)
	}))
	s.ask(t, http.MethodPost, "/v1/images/there", "")
	s.ask(t, http.MethodPost, "/v1/images/made", "")
	s.ask(t, http.MethodPost, "/v1/images/made", "")
	s.MarkSuperseded("made", revision(t, "b"), time.Now())
	s.backend.build("made").end(imageOf("made", pinion.OutcomeBuilt), nil)
	eventually(t, "its end", func() bool { return strings.Contains(seen(), "done") })
	if _, err := s.Warm(t.Context(), "there"); err != nil {
		t.Fatal(err)
	}
	if want := "made running, made done superseded, there done"; seen() != want {
		t.Errorf("reported %s, not %s", seen(), want)
	}
}
