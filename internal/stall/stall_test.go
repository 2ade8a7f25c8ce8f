package stall_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/stall"
)

var errStalled = errors.New("stalled")

func TestWatch(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		work  func(*stall.Guard)
		ended bool
	}{
		{"silence", time.Minute, func(*stall.Guard) { time.Sleep(61 * time.Second) }, true},
		{"progress", time.Minute, func(g *stall.Guard) {
			for range 10 {
				time.Sleep(59 * time.Second)
				g.Moved()
			}
		}, false},
		{"silence after progress", time.Minute, func(g *stall.Guard) {
			g.Moved()
			time.Sleep(61 * time.Second)
		}, true},
		{"a pause", time.Minute, func(g *stall.Guard) { g.Pause(); time.Sleep(time.Hour) }, false},
		{"silence after a pause", time.Minute, func(g *stall.Guard) {
			g.Pause()
			time.Sleep(time.Hour)
			g.Moved()
			time.Sleep(61 * time.Second)
		}, true},
		{"no bound", 0, func(g *stall.Guard) { g.Moved(); time.Sleep(time.Hour) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, g := stall.Watch(t.Context(), c.after, errStalled)
				c.work(g)
				synctest.Wait()
				if got := errors.Is(context.Cause(ctx), errStalled); got != c.ended {
					t.Errorf("the cause is %v, want an end: %t", context.Cause(ctx), c.ended)
				}
				g.Release()
				g.Moved()
				time.Sleep(time.Hour)
				if errors.Is(context.Cause(ctx), errStalled) != c.ended || ctx.Err() == nil {
					t.Errorf("after the release: %v", context.Cause(ctx))
				}
			})
		})
	}
}
