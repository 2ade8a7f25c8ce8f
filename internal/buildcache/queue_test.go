package buildcache

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestSavesAreBounded: so many lines at once, and one that waits for each.
func TestSavesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		goOn := make(chan struct{})
		var running, most, done, dropped atomic.Int32
		one := job{
			run: func(context.Context) {
				most.Store(max(most.Load(), running.Add(1)))
				<-goOn
				running.Add(-1)
				done.Add(1)
			},
			drop: func(string) { dropped.Add(1) },
		}
		for range 3 {
			for line := range 5 {
				q.add(t.Context(), fmt.Sprint(line), one)
			}
			synctest.Wait()
		}
		// Two lines have one under way and one that waits, the others one that waits.
		if running.Load() != savesAtOnce || dropped.Load() != 2*1+3*2 {
			t.Errorf("%d are under way, %d dropped", running.Load(), dropped.Load())
		}
		close(goOn)
		if err := q.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if most.Load() != savesAtOnce || done.Load() != 2*2+3 || len(q.waiting) != 0 {
			t.Errorf("%d at once, %d done, %d lines at work", most.Load(), done.Load(),
				len(q.waiting))
		}
	})
}

// TestManyLinesWait: each keeps a builder's connection, so there is a bound.
func TestManyLinesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		goOn := make(chan struct{})
		var done, dropped atomic.Int32
		one := job{run: func(context.Context) { <-goOn; done.Add(1) },
			drop: func(string) { dropped.Add(1) }}
		for line := range maxLines + 5 {
			q.add(t.Context(), fmt.Sprint(line), one)
			synctest.Wait() // the first lines get the places
		}
		if n := dropped.Load(); n != 5 {
			t.Errorf("%d dropped", n)
		}
		q.add(t.Context(), "0", one) // of a line that is at work
		close(goOn)
		if err := q.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if done.Load() != maxLines+1 || dropped.Load() != 5 {
			t.Errorf("%d done, %d dropped", done.Load(), dropped.Load())
		}
	})
}

// TestSavesEnd: saves that still wait when the queue is closed are dropped.
func TestSavesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		var done, dropped atomic.Int32
		one := job{
			run:  func(ctx context.Context) { <-ctx.Done(); done.Add(1) },
			drop: func(string) { dropped.Add(1) },
		}
		for line := range 5 {
			q.add(t.Context(), fmt.Sprint(line), one)
		}
		synctest.Wait()
		ended, end := context.WithCancel(t.Context())
		end()
		if err := q.close(ended); err == nil {
			t.Error("nothing was broken off")
		}
		if done.Load()+dropped.Load() != 5 || done.Load() < savesAtOnce || len(q.waiting) != 0 {
			t.Errorf("%d ended, %d dropped, %d lines at work", done.Load(), dropped.Load(),
				len(q.waiting))
		}
	})
}
