package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestTwoHundredCallers for one name, over HTTP and by the library: one solve, one load, equal
// answers.
func TestTwoHundredCallers(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		gate := newBuildGate(t)
		s.prepare(t, gate.add())
		o, log := openLogging(t, s.user)
		srv := serveHere(t, o)
		s.engine.Reset()
		const callers = 200
		replies, answers := make(chan reply, callers), make(chan answer, callers)
		for i := range callers {
			go func() {
				if i%2 == 0 {
					replies <- srv.ensure(t.Context())
					return
				}
				answers <- <-ask(t.Context(), o)
			}()
		}
		receive(t, "the build", gate.arrived)
		waitForSharing(t, callers)
		gate.open()
		ids := map[string]int{}
		for range callers / 2 {
			img := want[pinion.Image](t, receive(t, "a reply", replies), 200)
			ids[img.ID+string(img.Outcome)]++
			got := receive(t, "an answer", answers)
			if got.err != nil {
				t.Fatal(got.err)
			}
			ids[got.image.ID+string(got.image.Outcome)]++
		}
		if n := solves(log); n != 1 || len(ids) != 1 {
			t.Errorf("%d solves, answers %v", n, ids)
		}
		if n := s.engine.Count("/images/load"); c.standalone && (n < 1 || n > 2) {
			// a delta has one pass to learn what is missing and one to bring it
			t.Errorf("%d loads", n)
		}
		if n := s.engine.Count("/session"); !c.standalone && n != 1 {
			t.Errorf("%d Build sessions, not 1", n)
		}
	})
}

// TestEightNamesTwoAtOnce: the others queue and get events with their positions.
func TestEightNamesTwoAtOnce(t *testing.T) {
	partstest.OnSomeDays(t)
	s := newScene(t, containerdStandalone)
	gate := newBuildGate(t)
	o := s.open(t, pinion.WithMaxParallel(2))
	srv := serveHere(t, o)
	names := o.Names()[:8]
	for _, name := range names {
		s.template(t, name, parts.RepoOptions{}).busybox(t, "RUN echo "+name, gate.add())
	}
	for _, name := range names {
		srv.begin(t, name)
	}
	receive(t, "a build", gate.arrived)
	var running int
	var places []int
	eventually(t, "two that run", func() bool {
		running, places = 0, nil
		for _, b := range srv.builds(t) {
			switch b.State {
			case pinion.BuildRunning:
				running++
			case pinion.BuildQueued:
				places = append(places, b.Position)
			}
		}
		slices.Sort(places)
		return running == 2 && slices.Equal(places, []int{1, 2, 3, 4, 5, 6})
	})
	gate.open()
	eventually(t, "all images", func() bool {
		return !slices.ContainsFunc(srv.builds(t), func(b pinion.BuildStatus) bool {
			if b.State == pinion.BuildFailed {
				t.Fatalf("%+v", b.Failure)
			}
			return b.State != pinion.BuildDone
		})
	})
	list := want[struct {
		Images []pinion.Built
	}](t, srv.ask(t.Context(), "GET", "/v1/images", ""), 200)
	if len(list.Images) != len(names) {
		t.Errorf("%d images", len(list.Images))
	}
}

// TestFault49And50_InterestsOverHTTP: a client that leaves disturbs no other, and when all have
// left the solve ends.
func TestFault49And50_InterestsOverHTTP(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		gate := newBuildGate(t)
		s.prepare(t, gate.add())
		srv := serveHere(t, s.open(t))
		first, second := srv.begin(t, runtime), srv.begin(t, runtime)
		ctx, hangUp := context.WithCancel(t.Context())
		waiting := make(chan reply, 1)
		go func() { waiting <- srv.ensure(ctx) }()
		receive(t, "the build", gate.arrived)
		waitForSharing(t, 1)
		if got := srv.withdraw(t.Context(), first); got != 204 {
			t.Fatal(got)
		}
		hangUp()
		receive(t, "who hung up", waiting)
		waitForSharing(t, 0)
		if b := srv.builds(t); len(b) != 1 || b[0].State != pinion.BuildRunning ||
			len(gate.gone) != 0 {
			t.Fatalf("%+v, %d gone", b, len(gate.gone))
		}
		withdrawn := time.Now()
		if got := srv.withdraw(t.Context(), second); got != 204 {
			t.Fatal(got)
		}
		receive(t, "the end of the solve", gate.gone)
		within(t, "the end of the solve", withdrawn, 5*time.Second)
		eventually(t, "the failed build", func() bool {
			return srv.builds(t)[0].State == pinion.BuildFailed
		})
		// Fault 51: it is not remembered as anything.
		gate.open()
		if img := want[pinion.Image](t, srv.ensure(t.Context()),
			200); img.Outcome != pinion.OutcomeBuilt {
			t.Errorf("outcome is %s", img.Outcome)
		}
	})
}

// TestFault43_ServerKilledWhileItBuilds: the next one, on the same socket, builds right.
func TestFault43_ServerKilledWhileItBuilds(t *testing.T) {
	s := newScene(t, containerdStandalone)
	gate := newBuildGate(t)
	s.prepare(t, gate.add())
	p, srv := s.serve(t)
	srv.begin(t, runtime)
	receive(t, "the build", gate.arrived)
	p.kill()
	wantRecords(t, s, 0)
	gate.open()
	at := p.Args[3]
	s.start(t, "serve", "--listen", at)
	eventually(t, "a server", func() bool {
		return srv.ask(t.Context(), "GET", "/readyz", "").status == 200
	})
	img := want[pinion.Image](t, srv.ensure(t.Context()), 200)
	if img.Outcome != pinion.OutcomeBuilt {
		t.Errorf("outcome is %s", img.Outcome)
	}
	s.wantImage(t, img)
	if again := want[pinion.Image](t, srv.ensure(t.Context()),
		200); again.Outcome != pinion.OutcomeHit || again.ID != img.ID {
		t.Errorf("%+v", again)
	}
}

// TestServeWhileTheGitServerIsDown has answers of its own for down, slow, and back.
func TestServeWhileTheGitServerIsDown(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t, "RUN echo down")
	srv := serveHere(t, s.open(t))
	img := want[pinion.Image](t, srv.ensure(t.Context()), 200)
	s.git.SetHook(parts.FailPath("/", 503, "down"))
	got := want[map[string]any](t, srv.ensure(t.Context()), 502)
	if got["class"] != "unreachable" || got["exit_code"] != 12.0 || got["origin"] != "git server" {
		t.Errorf("%v", got)
	}
	s.git.SetHook(parts.DelayPath("/", 500*time.Millisecond))
	if slow := want[pinion.Image](t, srv.ensure(t.Context()), 200); slow.ID != img.ID {
		t.Errorf("%+v", slow)
	}
	s.git.SetHook(nil)
	if back := want[pinion.Image](t, srv.ensure(t.Context()),
		200); back.Outcome != pinion.OutcomeHit {
		t.Errorf("%+v", back)
	}
}

// TestFault33_NoAccessOverHTTP: an image that is there is not shown by a server that may not read
// the repository.
func TestFault33_NoAccessOverHTTP(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl := s.template(t, runtime, parts.RepoOptions{Private: true})
	tmpl.busybox(t, "RUN echo private")
	may := serveHere(t, s.with("MOLECULE_GITEA_TOKEN", s.token(t)).open(t))
	img := want[pinion.Image](t, may.ensure(t.Context()), 200)
	mayNot := serveHere(t, s.open(t))
	r := mayNot.ensure(t.Context())
	// The git server reports the repository as missing to users without access.
	if got := want[map[string]any](t, r, 404); got["class"] != "not-found" ||
		strings.Contains(r.text, img.ID) {
		t.Errorf("%v", got)
	}
}

// TestTwoHundredEventStreams of one build, and one that comes back for the rest.
func TestTwoHundredEventStreams(t *testing.T) {
	s := newScene(t, containerdOwn)
	gate := newBuildGate(t)
	s.prepare(t, "RUN echo hello streams", gate.add())
	p, srv := s.serve(t)
	build := srv.begin(t, runtime).Build
	receive(t, "the build", gate.arrived)
	const readers = 200
	type read struct {
		events []pinion.Event
		err    error
	}
	all := make(chan read, readers)
	for range readers {
		go func() {
			events, err := srv.events(t.Context(), build.ID)
			all <- read{events, err}
		}()
	}
	gate.open()
	first := receive(t, "a stream's end", all)
	if n := len(first.events); n < 4 || first.events[n-1].Type != pinion.EventDone {
		t.Fatalf("%d events, %v", n, first.err)
	}
	for range readers - 1 {
		r := receive(t, "a stream's end", all)
		if r.err != nil || len(r.events) != len(first.events) ||
			r.events[len(r.events)-1].ID != first.events[len(first.events)-1].ID {
			t.Fatalf("%d events and not %d, %v", len(r.events), len(first.events), r.err)
		}
	}
	middle := first.events[len(first.events)/2].ID
	rest, err := srv.events(t.Context(), build.ID, "Last-Event-ID", fmt.Sprint(middle))
	if err != nil || len(rest) == 0 || rest[0].ID <= middle || len(rest) >= len(first.events) {
		t.Errorf("%d events after %d, %v", len(rest), middle, err)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
}

// TestServeDrains: who waits gets the image, and the server ends with 0.
func TestServeDrains(t *testing.T) {
	s := newScene(t, containerdOwn)
	gate := newBuildGate(t)
	s.prepare(t, gate.add())
	p, srv := s.serve(t, "--drain-timeout", "2m")
	waiting := make(chan reply, 1)
	go func() { waiting <- srv.ensure(t.Context()) }()
	receive(t, "the build", gate.arrived)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no readiness", func() bool {
		return srv.ask(t.Context(), "GET", "/readyz", "").status == 503
	})
	if r := srv.ask(t.Context(), "POST", "/v1/images/"+runtime, ""); r.status != 503 {
		t.Errorf("a new request is answered by %d", r.status)
	}
	gate.open()
	s.wantImage(t, want[pinion.Image](t, receive(t, "the image", waiting), 200))
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
}
