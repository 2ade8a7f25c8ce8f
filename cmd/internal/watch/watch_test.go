package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// world is a fake git server with one repository, and a fake builder.
type world struct {
	*Watcher
	log strings.Builder

	mu         sync.Mutex
	head       git.Revision
	digest     string // in registry mode
	reference  string
	err        error
	lookups    []time.Time
	builds     []*build
	queue      bool // builds stay queued
	hits       bool // each image is in the store
	superseded []string
}

type build struct {
	server.Call // nil; the watcher uses no other methods
	mu          sync.Mutex
	status      pinion.BuildStatus
	done        chan struct{}
	left        bool
}

func (b *build) Status() pinion.BuildStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

func (b *build) Done() <-chan struct{} { return b.done }

func (b *build) Leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
}

func (b *build) end(f *pinion.Failure) {
	b.mu.Lock()
	b.status.State, b.status.Failure = pinion.BuildDone, f
	b.mu.Unlock()
	close(b.done)
}

func revision(n int) git.Revision {
	r, err := git.ParseRevision(fmt.Sprintf("%040x", n))
	if err != nil {
		panic(err)
	}
	return r
}

func (w *world) Head(context.Context, string) (pinion.Resolution, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookups = append(w.lookups, time.Now())
	return pinion.Resolution{Revision: w.head, Digest: w.digest, Reference: w.reference}, w.err
}

func (w *world) Warm(_ context.Context, name string) (server.Call, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := &build{done: make(chan struct{}),
		status: pinion.BuildStatus{Name: name, Revision: w.head, State: pinion.BuildRunning}}
	if w.queue {
		b.status.State = pinion.BuildQueued
	}
	w.builds = append(w.builds, b)
	if w.hits {
		b.end(nil)
	}
	return b, nil
}

func (w *world) MarkSuperseded(name string, rev git.Revision, _ time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.superseded = append(w.superseded, name+" "+rev.Short())
}

func (w *world) push(n int) {
	w.set(func() { w.head = revision(n) })
	w.Pushed("acme/templates", "refs/heads/main", time.Time{})
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.lookups)
}

func (w *world) built() []*build {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.builds)
}

func (w *world) marked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.superseded)
}

// play runs a watcher of two templates in one repository and one in another, without jitter.
func play(t *testing.T, f func(t *testing.T, w *world), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{head: revision(1)}
		at := func(name, repository, ref string) pinion.Resolution {
			return pinion.Resolution{Name: name, Mode: resolver.ModeLocalBuild,
				Repository: repository, Ref: ref}
		}
		w.Watcher = New(w, []pinion.Resolution{
			at("one", "https://git.example.com/sub/Acme/templates", "HEAD"),
			at("two", "https://git.example.com/sub/Acme/templates", "HEAD"),
			at("three", "https://git.example.com/other/templates", "refs/heads/release"),
			{Name: "pulled", Mode: resolver.ModeRegistry},
			at("pinned", "https://git.example.com/sub/Acme/templates", ""),
		}, time.Minute, slog.New(slog.NewTextHandler(&w.log, nil)), opts...)
		w.jitter = func(d time.Duration) time.Duration { return d }
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.Run(ctx, w); close(done) }()
		synctest.Wait()
		f(t, w)
		stop()
		<-done
		for _, b := range w.built() {
			select {
			case <-b.done:
			default:
				close(b.done)
			}
		}
	})
}

func pass(d time.Duration) {
	time.Sleep(d) // of synctest's clock
	synctest.Wait()
}

// TestEarlierFailure: a commit that an earlier process could not build is built only if the
// catalogue wants another image of it now, or for the next commit.
func TestEarlierFailure(t *testing.T) {
	failed := WithFailed(func(_ context.Context, name string, rev git.Revision) string {
		if name == "one" && rev == revision(1) {
			return "the old"
		}
		return ""
	})
	for reference, want := range map[string]int{"the old": 0, "another": 1} {
		play(t, func(t *testing.T, w *world) {
			w.set(func() { w.reference = reference })
			w.Follow("one")
			pass(time.Hour)
			if n := len(w.built()); n != want {
				t.Errorf("%s: %d builds, want %d", reference, n, want)
			}
			w.push(2)
			pass(time.Minute)
			if n := len(w.built()); want == 0 && n != 1 {
				t.Errorf("%s: %d builds of the next commit", reference, n)
			}
		}, failed)
	}
}

func TestOnlyRequestedTemplatesAreFollowed(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.Follow("no-such")
		w.Follow("pulled")
		pass(time.Hour)
		if names, known := w.Pushed("acme/templates", "refs/heads/main", time.Time{}); !known ||
			w.requests() != 0 || len(names) != 0 {
			t.Errorf("%d requests, for %v", w.requests(), names)
		}
	})
}

func TestAMovedHeadIsBuiltOnce(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.Follow("one")
		w.Follow("two")
		pass(2 * time.Second)
		// Each look-up is one request for both templates of the repository.
		before := w.requests()
		if before > 2 || len(w.built()) != 2 {
			t.Fatalf("%d requests, %d builds", before, len(w.built()))
		}
		for _, b := range w.built() {
			b.end(nil)
		}
		pass(10*time.Minute + 30*time.Second)
		if n := w.requests() - before; n < 10 || n > 12 || len(w.built()) != 2 {
			t.Errorf("%d requests in ten minutes, %d builds", n, len(w.built()))
		}
		w.set(func() { w.head = revision(2) })
		pass(2 * time.Minute)
		if len(w.built()) != 4 || w.built()[3].status.Revision != revision(2) {
			t.Errorf("%d builds", len(w.built()))
		}
	})
}

func TestAHitIsSettled(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.set(func() { w.hits = true })
		w.Follow("one")
		pass(30 * time.Second)
		if w.requests() != 1 || len(w.built()) != 1 {
			t.Errorf("%d requests, %d builds", w.requests(), len(w.built()))
		}
		pass(time.Hour)
		if len(w.built()) != 1 {
			t.Errorf("%d builds", len(w.built()))
		}
	})
}

// TestAStormOfPushes: the running build is marked and ends, the queued one is dropped, and the last
// commit is built last.
func TestAStormOfPushes(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.Follow("one")
		pass(2 * time.Second)
		w.set(func() { w.queue = true })
		for i := range 500 {
			w.push(2 + i)
			pass(10 * time.Millisecond)
		}
		pass(2 * time.Second)
		if n := w.requests(); n > 10 {
			t.Errorf("%d requests in a storm of five seconds", n)
		}
		if len(w.built()) != 1 || w.built()[0].left || len(w.marked()) == 0 {
			t.Fatalf("%d builds, superseded %v", len(w.built()), w.marked())
		}
		if last := w.marked()[len(w.marked())-1]; last != "one "+revision(501).Short() {
			t.Errorf("superseded by %s at last", last)
		}
		w.built()[0].end(nil)
		pass(2 * time.Second)
		w.push(1000)
		pass(2 * time.Second)
		if len(w.built()) != 3 || !w.built()[1].left ||
			w.built()[1].status.Revision != revision(501) {
			t.Fatalf("%d builds", len(w.built()))
		}
		if last := w.built()[2]; last.left || last.status.Revision != revision(1000) {
			t.Errorf("the last build is %+v", last.status)
		}
		// The queued build was marked too, so its end says why.
		if last := w.marked()[len(w.marked())-1]; last != "one "+revision(1000).Short() {
			t.Errorf("superseded by %s at last", last)
		}
	})
}

func TestBackoff(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.set(func() { w.err = errors.New("the git server is down") })
		w.Follow("one")
		pass(3 * time.Hour)
		// 1, 2, 4, 8, 16, 32 and then 30 minutes apart.
		if n := w.requests(); n < 8 || n > 13 {
			t.Errorf("%d requests to a server that is down, in three hours", n)
		}
		if n := strings.Count(w.log.String(), "down"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, &w.log)
		}
		w.set(func() { w.err = nil })
		pass(31 * time.Minute)
		if len(w.built()) != 1 {
			t.Errorf("%d builds when it was back", len(w.built()))
		}
		if !strings.Contains(w.log.String(), "answers again") {
			t.Errorf("the end of the outage is not logged:\n%s", &w.log)
		}
		state := w.State()
		if known := state.Known["one"]; time.Since(known) > 31*time.Minute ||
			len(state.Known) != 1 || state.LookupFailures < 8 ||
			state.Lookups <= state.LookupFailures {
			t.Errorf("state is %+v", state)
		}
	})
}

func TestFailuresOfBuilds(t *testing.T) {
	for _, final := range []pinion.Class{pinion.ClassBuild, pinion.ClassCancelled} {
		play(t, func(t *testing.T, w *world) {
			w.Follow("one")
			pass(2 * time.Second)
			w.built()[0].end(&pinion.Failure{Class: pinion.ClassStore, Message: "no space"})
			pass(10 * time.Minute)
			if len(w.built()) != 2 {
				t.Fatalf("%d builds: a retry may succeed", len(w.built()))
			}
			w.built()[1].end(&pinion.Failure{Class: final, Message: "exit code 1"})
			pass(time.Hour)
			if len(w.built()) != 2 {
				t.Errorf("%d builds after a failure of class %s", len(w.built()), final)
			}
			w.push(2)
			pass(2 * time.Second)
			if len(w.built()) != 3 {
				t.Errorf("%d builds after a new commit", len(w.built()))
			}
		})
	}
}

// TestABuildThatKeepsFailing is begun ever more rarely, and a new commit at once.
func TestABuildThatKeepsFailing(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.Follow("one")
		w.Follow("two")
		pass(2 * time.Second)
		fail := func(b *build) {
			select {
			case <-b.done:
			default:
				b.end(&pinion.Failure{Class: pinion.ClassUnreachable, Message: "registry is down"})
			}
		}
		w.built()[1].end(nil)
		var begun []time.Duration
		start, builds := time.Now(), 2
		for range 24 * 60 {
			fail(w.built()[0])
			for _, b := range w.built()[2:] {
				fail(b)
			}
			if n := len(w.built()); n > builds {
				begun, builds = append(begun, time.Since(start).Round(time.Minute)), n
			}
			pass(time.Minute)
		}
		if len(begun) < 40 || len(begun) > 60 || begun[0] > 4*time.Minute ||
			begun[2]-begun[1] < 7*time.Minute {
			t.Errorf("%d builds of a commit in a day, at %v", len(begun), begun)
		}
		if n := w.requests(); n < 20*60 {
			t.Errorf("%d look-ups in a day", n)
		}
		w.push(2)
		pass(2 * time.Second)
		if got := len(w.built()) - builds; got != 2 {
			t.Fatalf("%d builds after a new commit, for 2 templates", got)
		}
		w.set(func() { w.hits = true })
		for _, b := range w.built()[builds:] {
			fail(b)
		}
		builds = len(w.built())
		pass(4 * time.Minute)
		if got := len(w.built()) - builds; got != 2 {
			t.Errorf("%d builds of another commit that failed once, for 2 templates", got)
		}
	})
}

// TestABuildThatTakesTooLong is begun twice, and not again before the head moves.
func TestABuildThatTakesTooLong(t *testing.T) {
	for _, class := range []pinion.Class{pinion.ClassStalled, pinion.ClassTimeLimit} {
		play(t, func(t *testing.T, w *world) {
			w.Follow("one")
			pass(2 * time.Second)
			day := func() (builds int) {
				before := len(w.built())
				for range 24 * 60 {
					for _, b := range w.built() {
						if b.Status().State == pinion.BuildRunning {
							b.end(&pinion.Failure{Class: class, Message: "it hangs"})
						}
					}
					pass(time.Minute)
				}
				return len(w.built()) - before
			}
			if n := 1 + day(); n != maxTimeouts {
				t.Errorf("%s: %d builds of one commit in a day", class, n)
			}
			if !strings.Contains(w.log.String(), "is not built again") {
				t.Errorf("%s: not logged:\n%s", class, &w.log)
			}
			w.push(2)
			pass(2 * time.Second)
			if n := 1 + day(); n != maxTimeouts {
				t.Errorf("%s: %d builds of the next commit in a day", class, n)
			}
		})
	}
}

// TestAPauseThatTheServerWants is kept, also if there are pushes.
func TestAPauseThatTheServerWants(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.set(func() {
			w.err = fmt.Errorf("look-up: %w",
				&resolver.RateLimitError{RetryAfter: 20 * time.Minute})
		})
		w.Follow("one")
		pass(2 * time.Second)
		before := w.requests()
		for range 19 {
			w.push(2)
			pass(time.Minute)
		}
		if got := w.requests() - before; got != 0 {
			t.Errorf("%d look-ups within the pause", got)
		}
		w.set(func() { w.err = nil })
		pass(2 * time.Minute)
		if w.requests() == before {
			t.Error("no look-up after the pause")
		}
	})
}

// TestPushesDuringAnOutage do not make it longer, and a delivery that comes again during it causes
// another look-up.
func TestPushesDuringAnOutage(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.Follow("one")
		w.set(func() { w.hits = true })
		pass(2 * time.Second)
		w.set(func() { w.err = errors.New("the git server is down") })
		delivered := time.Now()
		for range 20 {
			w.push(2)
			pass(2 * time.Second)
		}
		if names, _ := w.Pushed("acme/templates", "refs/heads/main", delivered); len(names) != 1 {
			t.Errorf("a delivery during the outage, again: %v", names)
		}
		pass(2 * time.Second)
		w.set(func() { w.err = nil })
		before := w.requests()
		pass(2*time.Minute + time.Second)
		if w.requests() == before {
			t.Error("no look-up in the two minutes after a short outage")
		}
		if names, _ := w.Pushed("acme/templates", "refs/heads/main", delivered); len(names) != 0 {
			t.Errorf("a delivery whose look-up has succeeded, again: %v", names)
		}
	})
}

// TestManyFollowedTemplates are looked up once in each interval, a few at a time and spread over
// it.
func TestManyFollowedTemplates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 10_000
		g := &gitServer{}
		var templates []pinion.Resolution
		for i := range count {
			templates = append(templates, pinion.Resolution{Name: fmt.Sprint(i),
				Mode: resolver.ModeLocalBuild, Ref: "HEAD",
				Repository: fmt.Sprintf("https://git.example.com/acme/%d", i)})
		}
		w := New(g, templates, time.Minute, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { w.Run(ctx, &world{hits: true}) })
		for _, r := range templates {
			w.Follow(r.Name)
		}
		pass(time.Second)
		if n := g.total(); n < count/200 || n > count/40 {
			t.Errorf("%d look-ups in the first second", n)
		}
		pass(2 * time.Minute)
		if n := g.total(); n < count*3/2 || n > count*5/2 {
			t.Errorf("%d look-ups of %d templates in two intervals", n, count)
		}
		if g.most > lookupsPerHost {
			t.Errorf("%d look-ups at a time", g.most)
		}
		stop()
		done.Wait()
	})
}

// gitServer answers after 10 ms, and counts.
type gitServer struct {
	mu                  sync.Mutex
	now, most, requests int
}

func (g *gitServer) Head(ctx context.Context, _ string) (pinion.Resolution, error) {
	g.mu.Lock()
	g.now++
	g.requests++
	g.most = max(g.most, g.now)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.now--
		g.mu.Unlock()
	}()
	select {
	case <-time.After(10 * time.Millisecond): // of synctest's clock
		return pinion.Resolution{Revision: revision(1)}, nil
	case <-ctx.Done():
		return pinion.Resolution{}, ctx.Err()
	}
}

func (g *gitServer) total() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.requests
}

func TestPushedTemplates(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		for _, name := range []string{"one", "three"} {
			w.Follow(name)
		}
		for _, c := range []struct {
			repository, ref string
			want            []string
			known           bool
		}{
			{"acme/templates", "refs/heads/main", []string{"one"}, true},
			{"ACME/Templates", "refs/heads/other", []string{"one"}, true},
			{"other/templates", "refs/heads/release", []string{"three"}, true},
			{"other/templates", "refs/heads/main", nil, true},
			{"templates", "refs/heads/main", []string{"one"}, true},
			{"me/templates", "refs/heads/main", nil, false},
			{"", "refs/heads/main", nil, false},
		} {
			got, known := w.Pushed(c.repository, c.ref, time.Time{})
			if !slices.Equal(got, c.want) || known != c.known {
				t.Errorf("a push to %s of %s affects %v (%t), not %v", c.ref, c.repository, got,
					known, c.want)
			}
		}
	})
}

func TestTheEndDropsQueuedBuilds(t *testing.T) {
	var w *world
	play(t, func(t *testing.T, played *world) {
		w = played
		w.set(func() { w.queue = true })
		w.Follow("one")
		pass(2 * time.Second)
	})
	if len(w.built()) != 1 || !w.built()[0].left {
		t.Errorf("%d builds", len(w.built()))
	}
}

func TestJitter(t *testing.T) {
	for range 1000 {
		if d := spread(time.Minute); d < 45*time.Second || d > 75*time.Second {
			t.Fatalf("%s", d)
		}
	}
}

// TestUpdate: a template that was followed goes on to be where it is now, and is asked for anew.
func TestUpdate(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.Follow("one")
		w.Follow("three")
		pass(2 * time.Second)
		if n := len(w.built()); n != 2 {
			t.Fatalf("%d builds", n)
		}
		for _, b := range w.built() {
			b.end(nil)
		}
		w.Update([]pinion.Resolution{
			{Name: "one", Mode: resolver.ModeLocalBuild, Ref: "refs/heads/next",
				Repository: "https://git.example.com/moved/templates"},
			{Name: "two", Mode: resolver.ModeLocalBuild, Ref: "HEAD",
				Repository: "https://git.example.com/sub/Acme/templates"},
		})
		pass(2 * time.Second)
		if all := w.built(); len(all) != 3 || all[2].Status().Name != "one" {
			t.Fatalf("%d builds", len(all))
		}
		if names, known := w.Pushed("moved/templates", "refs/heads/next", time.Time{}); !known ||
			!slices.Equal(names, []string{"one"}) {
			t.Errorf("a push at the new place affects %v", names)
		}
		if names, known := w.Pushed("other/templates", "refs/heads/release",
			time.Time{}); names != nil || known {
			t.Errorf("a push at the place of a template that is gone affects %v (%t)", names,
				known)
		}
		if n := len(w.State().Known); n != 1 {
			t.Errorf("%d templates are followed", n)
		}
		before := w.requests()
		pass(time.Minute)
		if n := w.requests() - before; n != 1 {
			t.Errorf("%d look-ups in a minute, of one template", n)
		}
		// Nothing goes on for what has no template any more.
		running := runtime.NumGoroutine()
		w.Update(nil)
		synctest.Wait()
		if n := running - runtime.NumGoroutine(); n != 2 || len(w.repos) != 0 {
			t.Errorf("%d goroutines ended, %d repositories are left", n, len(w.repos))
		}
	})
}

// TestATagOfARegistry is followed by its digest.
func TestATagOfARegistry(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.set(func() { w.head, w.digest = git.Revision{}, "sha256:one" })
		w.Update([]pinion.Resolution{
			{Name: "pulled", Mode: resolver.ModeRegistry,
				Reference: "r.example/team/pulled:latest"},
			{Name: "fixed", Mode: resolver.ModeRegistry, Reference: "r.example/team/fixed:1.2"},
			{Name: "given", Mode: resolver.ModeRegistry,
				Reference: "sha256:" + strings.Repeat("ab", 32)},
		})
		w.Follow("pulled")
		w.Follow("fixed")
		w.Follow("given")
		pass(2 * time.Second)
		w.built()[0].end(nil)
		pass(time.Hour)
		if n := len(w.built()); n != 1 {
			t.Fatalf("%d pulls of one manifest", n)
		}
		w.set(func() { w.digest = "sha256:two" })
		pass(2 * time.Minute)
		if n := len(w.built()); n != 2 {
			t.Errorf("%d pulls of two manifests", n)
		}
	})
}
