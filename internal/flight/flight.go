// Package flight lets callers who want the same thing at the same time share one run of it.
//
// Nothing outlives a run: a result, good or bad, goes to those who waited for it, and whoever comes
// later starts another.
package flight

import (
	"context"
	"sync"
)

// Group shares runs by key. All who share a run also share a value of type S, which is there from
// its beginning: what the run tells of itself while it lasts. The zero value is ready.
type Group[K comparable, S, V any] struct {
	mu   sync.Mutex
	runs map[K]*run[S, V]
}

type run[S, V any] struct {
	shared  S
	waiters int
	cancel  context.CancelFunc
	done    chan struct{} // closed after value and err are set
	value   V
	err     error
}

// Ticket is one caller's interest in a run. It ends with Wait or Leave.
type Ticket[S, V any] struct {
	run   *run[S, V]
	leave func() (last bool)
}

// Join makes the caller part of the run under way, or starts one: begin makes what is shared, and
// fn does the work. The context that fn gets has the first caller's values and ends when the last
// caller has left.
func (g *Group[K, S, V]) Join(ctx context.Context, key K, begin func() S,
	fn func(context.Context, S) (V, error)) *Ticket[S, V] {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.runs[key]
	if r == nil {
		r = g.start(ctx, key, begin(), fn)
	}
	r.waiters++
	return &Ticket[S, V]{run: r, leave: sync.OnceValue(func() bool { return g.left(key, r) })}
}

// Do joins with nothing shared, and waits.
func (g *Group[K, S, V]) Do(ctx context.Context, key K,
	fn func(context.Context) (V, error)) (V, error) {
	if err := ctx.Err(); err != nil {
		var zero V
		return zero, err
	}
	nothing := func() (none S) { return none }
	return g.Join(ctx, key, nothing, func(ctx context.Context, _ S) (V, error) {
		return fn(ctx)
	}).Wait(ctx)
}

func (g *Group[K, S, V]) start(ctx context.Context, key K, shared S,
	fn func(context.Context, S) (V, error)) *run[S, V] {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &run[S, V]{shared: shared, cancel: cancel, done: make(chan struct{})}
	if g.runs == nil {
		g.runs = make(map[K]*run[S, V])
	}
	g.runs[key] = r
	go func() {
		r.value, r.err = fn(ctx, shared)
		g.forget(key, r)
		close(r.done)
	}()
	return r
}

// Shared is what all who share the run have of it.
func (t *Ticket[S, V]) Shared() S { return t.run.shared }

// Wait waits for the result or for ctx. One caller that gives up does not disturb the others. The
// last one to give up cancels the run and stays until it has ended, so that nothing is left behind;
// by then the run can no longer be joined.
func (t *Ticket[S, V]) Wait(ctx context.Context) (V, error) {
	select {
	case <-t.run.done:
		t.leave()
		return t.run.value, t.run.err
	case <-ctx.Done():
		if last := t.leave(); last {
			<-t.run.done
		}
		var zero V
		return zero, ctx.Err()
	}
}

// Leave ends the interest without waiting; the last one to leave cancels the run. It may be called
// more than once, and after Wait.
func (t *Ticket[S, V]) Leave() { t.leave() }

func (g *Group[K, S, V]) left(key K, r *run[S, V]) (last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.waiters--
	if r.waiters > 0 {
		return false
	}
	r.cancel()
	if g.runs[key] == r {
		delete(g.runs, key)
	}
	return true
}

// forget makes room for the next run as soon as this one has its result.
func (g *Group[K, S, V]) forget(key K, r *run[S, V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.runs[key] == r {
		delete(g.runs, key)
	}
}
