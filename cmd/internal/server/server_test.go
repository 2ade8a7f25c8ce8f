package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

func decode[T any](t *testing.T, a answered) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.text), &v); err != nil {
		t.Fatalf("%v: %s", err, a.text)
	}
	return v
}

func TestAHitIsAnsweredAtOnce(t *testing.T) {
	var asked []string
	s := newStage(t, WithAsked(func(name string) { asked = append(asked, name) }))
	for _, query := range []string{"", "?wait=true", "?wait=0"} {
		a := s.ask(t, http.MethodPost, "/v1/images/there"+query, "")
		if img := decode[pinion.Image](t, a); a.StatusCode != 200 || img.ID != "sha256:there" ||
			img.Outcome != pinion.OutcomeHit {
			t.Errorf("%s is answered by %d: %s", query, a.StatusCode, a.text)
		}
	}
	s.ask(t, http.MethodPost, "/v1/images/unknown", "")
	if strings.Join(asked, " ") != "there there there" {
		t.Errorf("heard of %v", asked)
	}
}

func TestManyCallersShareABuild(t *testing.T) {
	s := newStage(t)
	const callers = 200
	answers := make(chan answered, callers)
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

// TestFault49And50_WhoLeavesOverHTTP: by closing the connection.
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
		t.Error("an answer to who has gone")
	}
	eventually(t, "one caller", func() bool { return b.waiting() == 1 })
	select {
	case <-b.done:
		t.Fatal("the first to leave ended the build")
	default:
	}
	leaveToo()
	if err := <-gone; err == nil {
		t.Error("an answer to who has gone")
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
	mine := decode[accepted](t, s.ask(t, http.MethodPost, "/v1/images/made", ""))
	theirs := decode[accepted](t, s.ask(t, http.MethodPost, "/v1/images/made", ""))
	other := decode[accepted](t, s.ask(t, http.MethodPost, "/v1/images/other", ""))
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

// TestFault62_BodiesAreBounded: in size and in time, wanted or not.
func TestFault62_BodiesAreBounded(t *testing.T) {
	s := newStage(t, WithToken(strings.Repeat("t", MinToken)), withLimits(func(l *limits) {
		l.body = 50 * time.Millisecond
	}))
	token := "Authorization: Bearer " + strings.Repeat("t", MinToken) + "\r\n"
	for name, c := range map[string]struct{ request, want string }{
		"slow": {"POST /v1/images/there HTTP/1.1\r\nHost: x\r\n" + token +
			"Content-Length: 10\r\n\r\n{", "408"},
		"slow chunks": {"POST /v1/images/there HTTP/1.1\r\nHost: x\r\n" + token +
			"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "408"},
		"slow and unasked": {"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
			"408"},
		"slow, no route": {"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
			"404"},
		"slow, no token": {"POST /v1/images/there HTTP/1.1\r\nHost: x\r\nContent-Length: " +
			"10\r\n\r\n{", "401"},
		"huge": {"POST /v1/images/there HTTP/1.1\r\nHost: x\r\n" + token +
			"Content-Length: 99999999999\r\n\r\n" + strings.Repeat("x", 17<<10), "413"},
		"huge header": {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2<<20) +
			"\r\n\r\n", "431"},
	} {
		t.Run(name, func(t *testing.T) {
			c2, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c2.Close()
			_ = c2.SetDeadline(time.Now().Add(20 * time.Second))
			go func() { _, _ = io.WriteString(c2, c.request) }()
			in := bufio.NewReader(c2)
			line, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+c.want) {
				t.Fatalf("%q, %v", line, err)
			}
			// And the connection is not kept waiting for the rest.
			if _, err := io.Copy(io.Discard, in); err != nil &&
				strings.Contains(err.Error(), "timeout") {
				t.Error(err)
			}
		})
	}
}

func TestSlowHeadersCostTheConnection(t *testing.T) {
	s := newStage(t, withLimits(func(l *limits) { l.header = 50 * time.Millisecond }))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l, 0) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHo")
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBodiesAreStrict(t *testing.T) {
	s := newStage(t, WithAnyRevision())
	sha := strings.Repeat("a", 40)
	for body, want := range map[string]int{
		`{"revision":"` + sha + `"}`: 200, `{"revision":"` + sha +
			`","any_revision":true,"pull":true}`: 200, `{}`: 200,
		`{"revision":"abc"}`: 400, `{"any_revision":true}`: 400, `{"pull":1}`: 400,
		`{"Unknown":1}`: 400, `{} {}`: 400,
		`[]`: 400, `{`: 400, `null x`: 400,
	} {
		a := s.ask(t, http.MethodPost, "/v1/images/there", body)
		if a.StatusCode != want {
			t.Errorf("%s is answered by %d: %s", body, a.StatusCode, a.text)
		}
		if want == 400 && !strings.Contains(a.text, "urn:pinion:problem:bad-request") {
			t.Errorf("%s: %s", body, a.text)
		}
	}
	if a := s.ask(t, http.MethodPost, "/v1/images/there?wait=perhaps", ""); a.StatusCode != 400 {
		t.Errorf("%d", a.StatusCode)
	}
}

// TestFault12_OnlyTheOperatorAllowsAnyRevision: a caller chooses an entry of the catalogue, and
// nothing that is not on its branch.
func TestFault12_OnlyTheOperatorAllowsAnyRevision(t *testing.T) {
	body := `{"revision":"` + strings.Repeat("a", 40) + `","any_revision":true}`
	s := newStage(t)
	a := s.ask(t, http.MethodPost, "/v1/images/there", body)
	if p := decode[problem](t, a); a.StatusCode != 403 || p.Type != problemType+"any-revision" ||
		!strings.Contains(p.Detail, "--allow-any-sha") {
		t.Errorf("%d: %s", a.StatusCode, a.text)
	}
	if len(s.backend.asked) != 0 {
		t.Error("it was asked for")
	}
	if a := newStage(t, WithAnyRevision()).ask(t, http.MethodPost, "/v1/images/there",
		body); a.StatusCode != 200 {
		t.Errorf("allowed, and answered by %d: %s", a.StatusCode, a.text)
	}
}

func TestTheToken(t *testing.T) {
	secret := strings.Repeat("t", MinToken)
	var log strings.Builder
	s := newStage(t, WithToken(secret),
		WithLogger(slog.New(slog.NewTextHandler(&log,
			&slog.HandlerOptions{Level: slog.LevelDebug}))))
	for header, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer x": 401, "Basic " + secret: 401, "Bearer " + secret +
			"x": 401, secret: 401,
		"Bearer " + secret: 200, "bearer " + secret: 200,
	} {
		a := s.ask(t, http.MethodGet, "/v1/builds?token="+secret, "", "Authorization", header)
		if a.StatusCode != want || (want == 401) != (a.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%q is answered by %d", header, a.StatusCode)
		}
	}
	if a := s.ask(t, http.MethodGet, "/healthz", ""); a.StatusCode != 200 {
		t.Errorf("/healthz: %d", a.StatusCode)
	}
	if strings.Contains(log.String(), secret) || !strings.Contains(log.String(), "/v1/builds") {
		t.Errorf("the log is\n%s", &log)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{"GET", "/", 404, ""}, {"GET", "/v2/images", 404, ""}, {"GET", "/v1/images/a/b/c", 404, ""},
		{"GET", "/v1/images/there", 405, "POST, OPTIONS"},
		{"PUT", "/v1/builds/x", 405, "DELETE, GET, HEAD, OPTIONS"},
		{"OPTIONS", "/v1/builds/x", 204, "DELETE, GET, HEAD, OPTIONS"},
		{"OPTIONS", "/nowhere", 404, ""},
		{"HEAD", "/healthz", 200, ""}, {"HEAD", "/v1/builds", 200, ""},
	} {
		a := s.ask(t, c.method, c.path, "")
		if a.StatusCode != c.want || a.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s is answered by %d, Allow %q", c.method, c.path, a.StatusCode,
				a.Header.Get("Allow"))
		}
		if c.want >= 400 && a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %s", c.method, c.path, a.text)
		}
	}
}

func TestProblemsAreCleanAndPanicsAreAnswered(t *testing.T) {
	var log strings.Builder
	s := newStage(t, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	for _, name := range []string{"leaks", "panics"} {
		a := s.ask(t, http.MethodPost, "/v1/images/"+name, "")
		p := decode[problem](t, a)
		if a.StatusCode != 500 || p.Status != 500 ||
			strings.Contains(a.text+log.String(), canary) || strings.Contains(a.text, "\x1b") {
			t.Errorf("%d: %s\n%s", a.StatusCode, a.text, &log)
		}
	}
	a := s.ask(t, http.MethodPost, "/v1/images/unknown", "")
	if p := decode[problem](t, a); p.Class != pinion.ClassNotFound || p.ExitCode != 10 ||
		p.Origin != pinion.OriginCatalogue || p.Instance != "/v1/images/unknown" {
		t.Errorf("%+v", p)
	}
}

// drained is a server on a socket that is told to end.
type drained struct {
	*stage
	stop context.CancelFunc
	done chan error
}

func newDrained(t *testing.T, drain time.Duration) *drained {
	t.Helper()
	s := newStage(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	d := &drained{s, stop, make(chan error, 1)}
	s.url = "http://" + l.Addr().String()
	go func() { d.done <- s.Serve(ctx, l, drain) }()
	return d
}

func TestDraining(t *testing.T) {
	d := newDrained(t, time.Minute)
	waiting, streamed := make(chan answered, 1), make(chan answered, 1)
	got := decode[accepted](t, d.ask(t, http.MethodPost, "/v1/images/made", ""))
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
		t.Errorf("who waited got %d", a.StatusCode)
	}
	if a := <-streamed; !strings.Contains(a.text, "event: done") {
		t.Errorf("the stream ended with %q", a.text)
	}
	if err := <-d.done; err != nil {
		t.Error(err)
	}
}

// TestDrainingWaitsForLookUps, and for the builds that they find necessary.
func TestDrainingWaitsForLookUps(t *testing.T) {
	for _, query := range []string{"?wait=true", ""} {
		t.Run(query, func(t *testing.T) {
			d := newDrained(t, time.Minute)
			answers := make(chan answered, 1)
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

// TestDrainingCutsOffLookUps that take longer than it may; they count as cancelled.
func TestDrainingCutsOffLookUps(t *testing.T) {
	d := newDrained(t, 10*time.Millisecond)
	answers := make(chan answered, 1)
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

func TestDrainingTakesNoLongerThanItMay(t *testing.T) {
	d := newDrained(t, 10*time.Millisecond)
	waiting, streamed := make(chan answered, 1), make(chan answered, 1)
	got := decode[accepted](t, d.ask(t, http.MethodPost, "/v1/images/made", ""))
	go func() { waiting <- d.ask(t, http.MethodPost, "/v1/images/made?wait=true", "") }()
	go func() { streamed <- d.ask(t, http.MethodGet, "/v1/builds/"+got.Build.ID+"/events", "") }()
	b := d.backend.build("made")
	eventually(t, "callers", func() bool { return b.waiting() == 2 && len(d.streams) == 1 })
	if _, err := d.Warm(t.Context(), "made"); err != nil || b.waiting() != 3 {
		t.Errorf("%v, %d callers", err, b.waiting())
	}
	d.stop()
	if a := <-waiting; a.StatusCode != 503 || decode[problem](t, a).Class != pinion.ClassCancelled {
		t.Errorf("who waited got %d: %s", a.StatusCode, a.text)
	}
	if a := <-streamed; !strings.Contains(a.text, "event: failed") {
		t.Errorf("the stream ended with %q", a.text)
	}
	if err := <-d.done; err != nil {
		t.Error(err)
	}
}

func TestWarm(t *testing.T) {
	s := newStage(t)
	c, err := s.Warm(t.Context(), "made")
	if err != nil || c.Hit() {
		t.Fatal(err)
	}
	s.Superseded("made", revision(t, "b"), time.Now())
	if l := s.builds.list(); len(l) != 1 || l[0].SupersededBy != revision(t, "b") {
		t.Errorf("%+v", l)
	}
	c.Leave()
	<-c.Done()
	if hit, err := s.Warm(t.Context(), "there"); err != nil || !hit.Hit() {
		t.Error(err)
	}
}

// TestANewerHeadSupersedes those of the same template that are under way.
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

// TestALateAnswerSupersedesNothingNewer: what was looked up first may come last.
func TestALateAnswerSupersedesNothingNewer(t *testing.T) {
	s := newStage(t)
	before := time.Now()
	s.backend.head = revision(t, "b")
	newer := newFakeBuild(s.backend, "held")
	s.builds.add(newer, true, time.Now())
	older := newFakeBuild(&fakeBackend{head: revision(t, "a"), builds: map[string]*fakeBuild{}},
		"held")
	s.builds.add(older, true, before)
	s.Superseded("held", revision(t, "a"), before)
	for _, b := range s.builds.list() {
		if !b.SupersededBy.IsZero() {
			t.Errorf("%+v", b)
		}
	}
	newer.finish()
	older.finish()
}

func TestEndedBuildsAreForgottenSometime(t *testing.T) {
	s := newStage(t, withLimits(func(l *limits) { l.ended = 5 }))
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

func TestMetrics(t *testing.T) {
	s := newStage(t, WithVersion(`v1"2`))
	s.ask(t, http.MethodPost, "/v1/images/there", "")
	s.ask(t, http.MethodPost, "/v1/images/unknown", "")
	s.ask(t, http.MethodPost, "/v1/images/there", "x")
	s.ask(t, http.MethodPost, "/v1/images/made", "")
	s.ask(t, http.MethodPost, "/v1/images/other", "")
	s.backend.build("made").finish()
	eventually(t, "one build", func() bool { return s.metrics.inFlight.Load() == 1 })
	text := s.ask(t, http.MethodGet, "/metrics", "").text
	for _, line := range []string{
		`pinion_requests_total{outcome="hit"} 1`, `pinion_requests_total{outcome="failed"} 1`,
		`pinion_requests_total{outcome="refused"} 1`,
		`pinion_requests_total{outcome="accepted"} 2`, `pinion_builds_total{result="built"} 1`,
		`pinion_builds_total{result="failed"} 0`,
		`pinion_builds_in_flight 1`, `pinion_build_duration_seconds_bucket{le="0.5"} 1`,
		`pinion_build_duration_seconds_bucket{le="+Inf"} 1`,
		`pinion_build_duration_seconds_count 1`,
		fmt.Sprintf(`pinion_build_info{version="v1\"2",goversion=%q} 1`, runtime.Version()),
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, text)
		}
	}
	if strings.Contains(text, strings.Repeat("a", 12)) {
		t.Error("a commit is a label")
	}
}

// TestNothingIsLeftAfterAThousandRequests of all kinds: no goroutine, no file descriptor, no slot.
func TestNothingIsLeftAfterAThousandRequests(t *testing.T) {
	s := newStage(t)
	one := func(i int) {
		name := fmt.Sprintf("made%d", i)
		switch i % 5 {
		case 0:
			s.ask(t, http.MethodPost, "/v1/images/there?wait=true", "{}")
		case 1:
			got := decode[accepted](t, s.ask(t, http.MethodPost, "/v1/images/"+name, ""))
			s.ask(t, http.MethodDelete, "/v1/builds/"+got.Build.ID, "", "Pinion-Interest",
				got.Interest)
		case 2:
			ctx, leave := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer leave()
			_, _ = s.try(ctx, http.MethodPost, "/v1/images/"+name+"?wait=true", "")
		case 3:
			got := decode[accepted](t, s.ask(t, http.MethodPost, "/v1/images/"+name, ""))
			ctx, leave := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer leave()
			_, _ = s.try(ctx, http.MethodGet, "/v1/builds/"+got.Build.ID+"/events", "")
			s.backend.build(name).finish()
		case 4:
			s.ask(t, http.MethodPost, "/v1/images/unknown", `{"bad":1}`)
		}
	}
	many := func(n int) (goroutines, fds int) {
		var all sync.WaitGroup
		for lane := range 10 {
			all.Go(func() {
				for i := lane; i < n; i += 10 {
					one(i)
				}
			})
		}
		all.Wait()
		eventually(t, "all slots free", func() bool {
			return len(s.interests)+len(s.streams) == 0 && s.metrics.inFlight.Load() == 0
		})
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine(), openFiles(t)
	}
	many(20)
	before := runtime.NumGoroutine()
	files := openFiles(t)
	many(1000)
	eventually(t, "no more goroutines and files than before", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine() <= before+2 && openFiles(t) <= files+2
	})
}

// openFiles counts this process's descriptors, where that can be seen.
func openFiles(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// TestTheDocumentHasAllMetrics, and a server has all that the document names.
func TestTheDocumentHasAllMetrics(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/server.md")
	if err != nil {
		t.Fatal(err)
	}
	text := newStage(t).ask(t, http.MethodGet, "/metrics", "").text
	there, named := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (pinion_\w+)`).FindAllStringSubmatch(text,
		-1) {
		there[m[1]] = true
	}
	for _, m := range regexp.MustCompile("\\| `(pinion_\\w+)").FindAllStringSubmatch(string(doc),
		-1) {
		named[m[1]] = true
	}
	if !maps.Equal(there, named) || len(there) == 0 {
		t.Errorf("there are %v, and the document names %v", there, named)
	}
}
