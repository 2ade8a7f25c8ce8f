package pinion

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestOnePushOfANameAtATime: the pushes of two commits by two processes share the name latest.
func TestOnePushOfANameAtATime(t *testing.T) {
	dir := t.TempDir() + "/cache"
	synctest.Test(t, func(t *testing.T) {
		w, other := newWorld(t, WithCacheDir(dir)), newWorld(t, WithCacheDir(dir))
		other.heads.sha = shaB
		other.store, other.builder.store = w.store, w.store
		var running, most, pushes atomic.Int32
		w.store.Before = func(op, ref string) error {
			if op == "push" && ref == pushedLatest {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				pushes.Add(1)
				time.Sleep(time.Second) // of synctest's clock: for the other one
			}
			return nil
		}
		done := make(chan error, 2)
		for _, from := range []*world{w, other} {
			go func() {
				_, err := from.Ensure(t.Context(), "claude-code", PushTo(pushPrefix))
				done <- err
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if most.Load() != 1 || pushes.Load() != 2 {
			t.Errorf("%d of %d pushes at once", most.Load(), pushes.Load())
		}
	})
}

// TestAnImageThatIsPushedStays: nobody removes it meanwhile.
func TestAnImageThatIsPushedStays(t *testing.T) {
	w := newWorld(t)
	img := w.ensure(t)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	w.store.Before = func(op, ref string) error {
		if op == "push" && ref == pushedPinned {
			close(arrived)
			<-goOn
		}
		return nil
	}
	done := make(chan error)
	go func() {
		_, err := w.Ensure(t.Context(), "claude-code", PushTo(pushPrefix))
		done <- err
	}()
	<-arrived
	wantItem(t, w.reset(t, ResetOptions{}), img.Reference, PruneKept, "a build is using it")
	close(goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantItem(t, w.reset(t, ResetOptions{}), img.Reference, PruneRemoved)
}
