package pinion

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestStatusOfABuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, WithMaxParallel(1))
		finish := make(chan error)
		w.builder.wait = func(context.Context) error { return <-finish }
		start := func(name string) *Build {
			c, err := w.Start(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return c.Build()
		}
		first, second := start("claude-code"), start("hermes")
		if s := first.Status(); s.State != BuildRunning || s.Revision.String() != shaA ||
			s.Reference == "" || !s.Ended.IsZero() {
			t.Errorf("the first is %+v", s)
		}
		if s := second.Status(); s.State != BuildQueued || s.Position != 1 {
			t.Errorf("the second is %+v", s)
		}
		w.heads.sha = shaB
		finish <- nil
		<-first.Done()
		synctest.Wait()
		if s := first.Status(); s.State != BuildDone || s.Image == nil ||
			s.SupersededBy.String() != shaB || s.Ended.IsZero() {
			t.Errorf("the first ended as %+v", s)
		}
		if s := second.Status(); s.State != BuildRunning || s.Position != 0 {
			t.Errorf("the second went on as %+v", s)
		}
		finish <- errors.New("no luck")
		<-second.Done()
		if s := second.Status(); s.State != BuildFailed || s.Failure == nil || s.Image != nil {
			t.Errorf("the second ended as %+v", s)
		}
	})
}

// TestABuildsOwnDuration is in its status, its last event and its result.
func TestABuildsOwnDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.builder.wait = func(context.Context) error { time.Sleep(3 * time.Second); return nil }
		for _, outcome := range []Outcome{OutcomeBuilt, OutcomeHit} {
			c, err := w.Start(t.Context(), "claude-code")
			if err != nil {
				t.Fatal(err)
			}
			var last Event
			for e := range c.Build().Events(t.Context(), 0) {
				if last = e; e.Type != EventDone {
					continue
				}
				if img, err := c.Build().Result(); err != nil || img.Outcome != outcome {
					t.Errorf("at the last event the result is %v, %v", img.Outcome, err)
				}
			}
			s := c.Build().Status()
			if outcome == OutcomeHit {
				continue // takes no time on this clock
			}
			if s.Image.Durations.Total != 3000 || last.Image.Durations.Total != 3000 {
				t.Errorf("status %+v, event %+v", s.Image.Durations, last.Image.Durations)
			}
		}
	})
}

// TestALongQueueTakesLittleMemory: each waiting build keeps its newest position alone.
func TestALongQueueTakesLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 60
		w := newWorld(t, WithMaxParallel(1))
		next := make(chan struct{})
		w.builder.wait = func(context.Context) error { <-next; return nil }
		var calls []*Call
		for i := range count {
			rev, err := git.ParseRevision(fmt.Sprintf("%040x", i+1))
			if err != nil {
				t.Fatal(err)
			}
			c, err := w.Start(t.Context(), "claude-code", AtRevision(rev, true))
			if err != nil {
				t.Fatal(err)
			}
			calls = append(calls, c)
			synctest.Wait()
		}
		for range count / 2 {
			next <- struct{}{}
			synctest.Wait()
		}
		last := calls[count-1].Build()
		if s := last.Status(); s.Position != count/2-1 {
			t.Errorf("the position is %d", s.Position)
		}
		close(next)
		<-last.Done()
		queued := 0
		for e := range last.Events(t.Context(), 0) {
			if e.Type == EventQueued {
				queued++
			}
		}
		if queued != 1 {
			t.Errorf("%d positions are kept", queued)
		}
		for _, c := range calls {
			<-c.Build().Done()
		}
	})
}

// starter returns a function that starts a build and waits until all that follows from it at once
// has happened.
func (w *world) starter(t *testing.T) func(name string, opts ...EnsureOption) *Build {
	return func(name string, opts ...EnsureOption) *Build {
		t.Helper()
		c, err := w.Start(t.Context(), name, opts...)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		return c.Build()
	}
}

// TestWaitingForALockTakesNoPlace: other builds run meanwhile, and the one that waits says so.
func TestWaitingForALockTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, WithMaxParallel(2))
		finish := make(chan struct{})
		w.builder.wait = func(context.Context) error { <-finish; return nil }
		start := w.starter(t)
		first, second := start("claude-code", NoCache()), start("claude-code")
		third, fourth := start("hermes"), start("langgraph")
		for _, c := range []struct {
			build *Build
			state BuildState
			place int
		}{{first, BuildRunning, 0}, {second, BuildQueued, 0}, {third, BuildRunning, 0},
			{fourth, BuildQueued, 1}} {
			if s := c.build.Status(); s.State != c.state || s.Position != c.place {
				t.Errorf("%s is %s at %d", s.Name, s.State, s.Position)
			}
		}
		time.Sleep(2 * time.Second)
		close(finish)
		for _, b := range []*Build{first, second, third, fourth} {
			<-b.Done()
		}
		for b, waited := range map[*Build]bool{first: false, second: true, third: false,
			fourth: true} {
			if s := b.Status(); s.Queued >= 2000 != waited {
				t.Errorf("%s waited for %d ms", s.Name, s.Queued)
			}
		}
		if img, err := second.Result(); err != nil || img.Outcome != OutcomeHit {
			t.Errorf("%v, %v", img.Outcome, err)
		}
		said := false
		for e := range second.Events(t.Context(), 0) {
			said = said || e.Type == EventNotice && strings.Contains(e.Text, "another build")
		}
		if !said {
			t.Error("no event says what it waited for")
		}
	})
}

// TestAWithdrawnBuildBlamesNobody, whatever the builder says about it.
func TestAWithdrawnBuildBlamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.builder.wait = func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("%w: failed to list workers: Canceled", ErrNoBuilder)
		}
		c, err := w.Start(t.Context(), "claude-code")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.Leave()
		<-c.Build().Done()
		f := c.Build().Status().Failure
		if f == nil || f.Class != ClassCancelled || f.Origin != "" ||
			!strings.Contains(f.Message, "no caller waits") ||
			strings.Contains(f.Message, "workers") {
			t.Errorf("%+v", f)
		}
	})
}

// TestPrewarmsStandBehindCallers, until a caller wants the same.
func TestPrewarmsStandBehindCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, WithMaxParallel(1))
		next := make(chan struct{})
		w.builder.wait = func(context.Context) error { <-next; return nil }
		start := w.starter(t)
		start("autogen")
		ahead := start("claude-code", Prewarm())
		wanted := start("hermes", Prewarm())
		caller := start("langgraph")
		start("hermes")
		if a, b, c := caller.Status(), wanted.Status(), ahead.Status(); a.Position != 1 ||
			b.Position != 2 || c.Position != 3 {
			t.Errorf("the caller is at %d, what a caller joined at %d, the prewarm at %d",
				a.Position, b.Position, c.Position)
		}
		close(next)
		<-ahead.Done()
	})
}

// TestPrewarmed: the receipt says so, also that of those who find the image later on, and after a
// restart.
func TestPrewarmed(t *testing.T) {
	w := newWorld(t)
	warm := w.ensure(t, Prewarm())
	found := w.ensure(t)
	if !warm.Prewarmed || !found.Prewarmed || found.Outcome != OutcomeHit {
		t.Errorf("built %+v, found %+v", warm, found)
	}
	w.heads.sha = shaB
	if cold := w.ensure(t); cold.Prewarmed {
		t.Errorf("%+v", cold)
	}
}

func TestTemplatesAskNobody(t *testing.T) {
	w := newWorld(t)
	list := w.Templates()
	if len(list) != len(w.Names()) || w.heads.asked != 0 {
		t.Fatalf("%d templates, %d questions", len(list), w.heads.asked)
	}
	if r := list[0]; r.Name != w.Names()[0] || r.Mode != resolver.ModeLocalBuild ||
		r.Repository == "" || r.Ref != "HEAD" {
		t.Errorf("%+v", r)
	}
}

func TestReady(t *testing.T) {
	w := newWorld(t)
	if err := w.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	w.Orchestrator.store = func() (imagestore.Store, error) { return nil, errors.New("gone") }
	if err := w.Ready(t.Context()); !errors.Is(err, ErrStore) {
		t.Errorf("error is %v", err)
	}
}
