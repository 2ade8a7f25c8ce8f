package pulls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// world is a fake git server, catalogue and builder. It has methods of each.
type world struct {
	*Builds
	log strings.Builder

	templates []pinion.Resolution
	rules     map[string]pinion.PullRequests

	mu     sync.Mutex
	heads  map[int]git.Revision // of pull requests at the git server
	asked  []time.Time
	builds []*build
	closed []string
	hits   bool
}

type build struct {
	server.Call // nil; no other methods are used
	what        string
	hit         bool
	done        chan struct{}
	once        sync.Once
}

func (b *build) Hit() bool             { return b.hit }
func (b *build) Done() <-chan struct{} { return b.done }
func (b *build) Leave()                { b.once.Do(func() { close(b.done) }) }
func (b *build) Status() pinion.BuildStatus {
	return pinion.BuildStatus{State: pinion.BuildQueued}
}

// hasEnded reports whether the build was left or has ended.
func (b *build) hasEnded() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

func (w *world) Templates() []pinion.Resolution { return w.templates }

func (w *world) PullRequests(name string) (pinion.PullRequests, bool) {
	p, ok := w.rules[name]
	return p, ok
}

func (w *world) ClosePullRequest(_ context.Context, name string, number int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = append(w.closed, fmt.Sprint(name, " ", number))
	return nil
}

func (w *world) WarmPullRequest(
	_ context.Context, name string, number int, head git.Revision,
) (server.Call, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, time.Now())
	switch have, ok := w.heads[number]; {
	case !ok:
		return nil, pinion.ErrNotFound
	case have != head:
		return nil, pinion.ErrNotOnBranch
	}
	b := &build{what: fmt.Sprintf("%s %d %s", name, number, head.Short()), hit: w.hits,
		done: make(chan struct{})}
	w.builds = append(w.builds, b)
	return b, nil
}

func (w *world) push(number, commit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heads[number] = revision(commit)
}

func (w *world) built() (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.builds {
		list = append(list, b.what)
	}
	return list
}

func revision(n int) git.Revision {
	r, err := git.ParseRevision(fmt.Sprintf("%040x", n))
	if err != nil {
		panic(err)
	}
	return r
}

// newWorld runs builds of the template t, whose repository is acme/t, until the test ends.
func newWorld(t *testing.T, from ...string) *world {
	t.Helper()
	w := &world{heads: map[int]git.Revision{}, rules: map[string]pinion.PullRequests{
		"t": {From: from}},
		templates: []pinion.Resolution{
			{Name: "t", Repository: "https://git.example/sub/Acme/t.git", Ref: "refs/heads/main"},
			{Name: "off", Repository: "https://git.example/acme/off", Ref: "HEAD"},
		}}
	w.Builds = New(w, slog.New(slog.NewTextHandler(&w.log, nil)))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx, w)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	synctest.Wait()
	return w
}

// event is one of the pull request of a branch, at a commit; 0 closes it.
func event(number, commit int) server.PullRequestEvent {
	e := server.PullRequestEvent{Repository: "acme/t", Number: number, Base: "main",
		Closed: commit == 0,
		Origin: resolver.Origin{SameRepository: true, Authors: []string{"bob"}}}
	if commit != 0 {
		e.Head = revision(commit)
	}
	return e
}

func TestFault71_WhatIsBuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, resolver.FromSameRepository)
		w.push(7, 1)
		for what, c := range map[string]struct {
			change  func(*server.PullRequestEvent)
			known   bool
			refused string
		}{
			"another repository": {func(e *server.PullRequestEvent) {
				e.Repository = "acme/other"
			}, false, ""},
			"a part of its name": {func(e *server.PullRequestEvent) { e.Repository = "t" }, false,
				""},
			"one without rules": {func(e *server.PullRequestEvent) {
				e.Repository = "acme/off"
			}, true, ""},
			"another branch": {func(e *server.PullRequestEvent) { e.Base = "old" }, true,
				`t: it is for the branch "old", and not for "main"`},
			"a fork": {func(e *server.PullRequestEvent) { e.Origin.SameRepository = false }, true,
				"t: it is from a fork, by bob, and pull_requests in the config file allows those " +
					"from same-repository; it is built if somebody requests it"},
		} {
			e := event(7, 1)
			c.change(&e)
			a := w.Reported(e)
			if a.Known != c.known || len(a.Templates) > 0 ||
				strings.Join(a.Refused, "") != c.refused {
				t.Errorf("%s: %+v", what, a)
			}
		}
		synctest.Wait()
		if len(w.asked) > 0 {
			t.Errorf("%d look-ups", len(w.asked))
		}
		if a := w.Reported(event(7, 1)); !slices.Equal(a.Templates, []string{"t"}) {
			t.Errorf("%+v", a)
		}
		pass(time.Minute)
		if got := w.built(); !slices.Equal(got, []string{"t 7 000000000000"}) || w.log.Len() > 0 {
			t.Errorf("%q\n%s", got, &w.log)
		}
	})
}

// TestHeadIsTheDefaultBranch: of a template without a branch.
func TestHeadIsTheDefaultBranch(t *testing.T) {
	of := pinion.Resolution{Name: "t", Ref: "HEAD"}
	rules := pinion.PullRequests{From: []string{resolver.FromAnyone}}
	for _, c := range []struct {
		base, main string
		want       bool
	}{{"main", "main", true}, {"old", "main", false}, {"old", "", true}} {
		got := refusal(of, rules, server.PullRequestEvent{Base: c.base, DefaultBranch: c.main})
		if (got == "") != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// TestANewHeadReplacesTheOld: the build of the head before is left, and so is that of a pull
// request that was closed.
func TestANewHeadReplacesTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, resolver.FromSameRepository)
		for commit := range 3 {
			w.push(7, commit+1)
			w.Reported(event(7, commit+1))
			w.Reported(event(7, commit+1)) // once more
			pass(time.Minute)
		}
		w.push(8, 1)
		w.Reported(event(8, 1))
		pass(time.Minute)
		var ended []bool
		for _, b := range w.builds {
			ended = append(ended, b.hasEnded())
		}
		if n := len(ended); n < 4 || slices.Contains(ended[:n-2], false) || ended[n-2] ||
			ended[n-1] {
			t.Errorf("%q have ended: %v", w.built(), ended)
		}
		w.Reported(event(7, 0))
		pass(time.Minute)
		if n := len(w.builds); !w.builds[n-2].hasEnded() || w.builds[n-1].hasEnded() ||
			!slices.Equal(w.closed, []string{"t 7"}) {
			t.Errorf("closed are %q", w.closed)
		}
		if n := len(w.active); n != 1 {
			t.Errorf("%d are active", n)
		}
		if w.log.Len() > 0 {
			t.Errorf("%s", &w.log)
		}
	})
}

// TestAHeadThatIsNotThereYet is looked up again, and one that never comes is not built.
func TestAHeadThatIsNotThereYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, resolver.FromSameRepository)
		w.Reported(event(7, 2))
		pass(3 * time.Second)
		w.push(7, 1)
		pass(5 * time.Second)
		w.push(7, 2)
		pass(time.Minute)
		if got := w.built(); len(got) != 1 || len(w.asked) != 4 || w.log.Len() > 0 {
			t.Errorf("%q after %d look-ups\n%s", got, len(w.asked), &w.log)
		}
		// An old event, or one of another server, builds nothing.
		w.Reported(event(7, 1))
		pass(time.Minute)
		if got := w.built(); len(got) != 1 || !strings.Contains(w.log.String(),
			"pull request 7 of t is not built") {
			t.Errorf("%q\n%s", got, &w.log)
		}
	})
}

// TestAFailedBuildIsNotTriedAgain by itself, and a head of which no event came is not looked up.
// Another event builds either, for instance after the pull request was closed and opened again.
func TestAFailedBuildIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, resolver.FromSameRepository)
		w.push(7, 1)
		w.Reported(event(7, 1))
		pass(time.Minute)
		close(w.builds[0].done) // it has failed
		w.push(8, 1)            // the event is lost
		pass(48 * time.Hour)
		if n := len(w.asked); n != 1 || len(w.active) != 0 {
			t.Errorf("%d look-ups, and %d are active", n, len(w.active))
		}
		w.Reported(event(7, 0))
		pass(time.Minute)
		w.Reported(event(7, 1))
		w.Reported(event(8, 1))
		pass(time.Minute)
		if n := len(w.builds); n != 3 || w.builds[1].hasEnded() || w.builds[2].hasEnded() {
			t.Errorf("%q", w.built())
		}
	})
}

// TestPullRequestsAreBounded: a hit takes no place.
func TestPullRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, resolver.FromAnyone)
		w.hits = true
		report := func(n int) (refused int) {
			for i := range n {
				w.push(i+1, 1)
				refused += len(w.Reported(event(i+1, 1)).Refused)
			}
			pass(time.Minute)
			return refused
		}
		if got := report(maxActive); got != 0 || len(w.active) != 0 {
			t.Errorf("%d hits were refused, and %d are active", got, len(w.active))
		}
		w.hits = false
		if got := report(maxActive + 5); got != 5 || len(w.active) != maxActive {
			t.Errorf("%d builds were refused, and %d are active", got, len(w.active))
		}
	})
}

func TestMayPass(t *testing.T) {
	for err, want := range map[error]bool{pinion.ErrNotFound: true, pinion.ErrUnavailable: true,
		pinion.ErrUnauthorized: false, errors.New("x"): false} {
		if mayPass(err) != want {
			t.Errorf("%v", err)
		}
	}
}

// pass lets time pass, and waits until nothing happens.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
