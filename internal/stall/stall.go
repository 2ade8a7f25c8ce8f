// Package stall ends work that makes no progress.
package stall

import (
	"context"
	"sync"
	"time"
)

// Guard ends a context if nothing moves for a while. The work as a whole has no bound.
type Guard struct {
	after  time.Duration
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer // nil for no bound, and after Release
}

// Watch returns a context that ends with the cause unless Moved is called at least once in each
// time of that length. A time of 0 is no bound. The caller calls Release when the work has ended.
func Watch(
	ctx context.Context, after time.Duration, cause error,
) (context.Context, *Guard) {
	ctx, cancel := context.WithCancelCause(ctx)
	g := &Guard{after: after, cancel: cancel}
	if after > 0 {
		g.timer = time.AfterFunc(after, func() { cancel(cause) })
	}
	return ctx, g
}

// Moved reports progress. It also ends a pause.
func (g *Guard) Moved() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Reset(g.after)
	}
}

// Pause allows silence until the next call of Moved.
func (g *Guard) Pause() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
	}
}

// Release ends the context, and with it the guard.
func (g *Guard) Release() {
	g.Pause()
	g.mu.Lock()
	g.timer = nil
	g.mu.Unlock()
	g.cancel(nil)
}
