package pinion

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
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
