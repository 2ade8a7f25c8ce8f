package pinion

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
)

func TestBuildObserver(t *testing.T) {
	var seen []*Build
	w := newWorld(t, WithBuildObserver(func(b *Build) { seen = append(seen, b) }))
	w.ensure(t, AskedBy("one"))
	w.ensure(t, AskedBy("two"))
	w.ensure(t, AtRevision(revision(t, shaA), false))
	if len(seen) != 3 {
		t.Fatalf("%d builds", len(seen))
	}
	built, hit, pinned := seen[0].Status(), seen[1].Status(), seen[2].Status()
	if built.State != BuildDone || built.AskedBy != "one" || built.Reason == "" || built.Pinned ||
		built.Builder == nil || *built.Builder != *built.Image.Builder {
		t.Errorf("the build: %+v", built)
	}
	if hit.State != BuildDone || hit.AskedBy != "two" || hit.Reason != "" ||
		hit.Image.Outcome != OutcomeHit || hit.Builder != nil {
		t.Errorf("the hit: %+v", hit)
	}
	if !pinned.Pinned {
		t.Errorf("the commit was chosen: %+v", pinned)
	}
}

// TestCancelOfABuild: it ends for every caller, and only that build.
func TestCancelOfABuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stopped := make(chan struct{})
		w.builder.wait = func(ctx context.Context) error {
			<-ctx.Done()
			<-stopped // a builder may take its time
			return ctx.Err()
		}
		var calls []*Call
		for range 3 {
			c, err := w.Start(t.Context(), "claude-code")
			if err != nil {
				t.Fatal(err)
			}
			calls = append(calls, c)
		}
		b := calls[0].Build()
		synctest.Wait()
		b.Cancel()
		b.Cancel()
		next, err := w.Start(t.Context(), "claude-code")
		if err != nil || next.Build() == b {
			t.Errorf("the cancelled build is joined, or %v", err)
		}
		close(stopped)
		for _, c := range calls {
			if _, err := c.Wait(t.Context()); ClassOf(err) != ClassCancelled {
				t.Errorf("%v", err)
			}
		}
		events := slices.Collect(b.Events(t.Context(), 0))
		last := events[len(events)-1]
		if last.Failure == nil || last.Failure.Class != ClassCancelled ||
			last.Failure.Message != "claude-code: cancelled on request" {
			t.Errorf("%+v", last)
		}
		next.Leave()
		<-next.Build().Done()
		w.builder.wait = nil
		w.ensure(t)
		b.Cancel() // it has ended
	})
}
