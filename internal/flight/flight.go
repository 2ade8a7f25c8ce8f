// Package flight runs a function once for all callers that ask for the same key at the same time.
//
// It guarantees that the callers of one run get the same result, that a caller can leave without an
// effect on the others, and that the run is cancelled when the last one leaves. It stores no
// result: a caller that comes after the end of a run starts another.
package flight

import (
	"context"
	"sync"
)

// Group shares runs by key. The callers of a run also share a value of type S from its beginning,
// by which the run can report its progress. The zero value is ready to use.
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

// Ticket is one caller's place in a run. The caller must call Wait or Leave.
type Ticket[S, V any] struct {
	run    *run[S, V]
	joined bool
	leave  func() (last bool)
	cancel func()
}

// Join joins the run of the key, or starts one: begin returns the shared value, and fn is the run.
// The context of fn has the first caller's values and ends when the last caller has left.
func (g *Group[K, S, V]) Join(
	ctx context.Context, key K, begin func() S, fn func(context.Context, S) (V, error),
) *Ticket[S, V] {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, joined := g.runs[key]
	if !joined {
		r = g.start(ctx, key, begin(), fn)
	}
	r.waiters++
	return &Ticket[S, V]{run: r, joined: joined,
		leave:  sync.OnceValue(func() bool { return g.leave(key, r) }),
		cancel: func() { g.cancel(key, r) }}
}

// Do joins without a shared value, and waits.
func (g *Group[K, S, V]) Do(
	ctx context.Context, key K, fn func(context.Context) (V, error),
) (V, error) {
	if err := ctx.Err(); err != nil {
		var zero V
		return zero, err
	}
	nothing := func() (none S) { return none }
	return g.Join(ctx, key, nothing, func(ctx context.Context, _ S) (V, error) {
		return fn(ctx)
	}).Wait(ctx)
}

func (g *Group[K, S, V]) start(
	ctx context.Context, key K, shared S, fn func(context.Context, S) (V, error),
) *run[S, V] {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) //nolint:gosec // leave calls it
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

// Shared returns the value that the callers of the run share.
func (t *Ticket[S, V]) Shared() S { return t.run.shared }

// Joined reports whether another caller had started the run.
func (t *Ticket[S, V]) Joined() bool { return t.joined }

// Wait waits for the result or for the end of ctx, which has no effect on the other callers. The
// last caller whose ctx ends cancels the run and waits for its end. From the cancellation on the
// run cannot be joined.
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

// Leave gives up the result without waiting. The last caller that leaves cancels the run. It may be
// called more than once, and after Wait.
func (t *Ticket[S, V]) Leave() { t.leave() }

// Cancel cancels the run for all of its callers. From then on it cannot be joined.
func (t *Ticket[S, V]) Cancel() { t.cancel() }

// leave removes one caller from the run, and cancels it after the last one.
func (g *Group[K, S, V]) leave(key K, r *run[S, V]) (last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.waiters--
	if r.waiters > 0 {
		return false
	}
	r.cancel()
	g.forgetLocked(key, r)
	return true
}

// cancel cancels the run, whoever waits for it.
func (g *Group[K, S, V]) cancel(key K, r *run[S, V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.cancel()
	g.forgetLocked(key, r)
}

// forget removes the run, so that the next caller starts another.
func (g *Group[K, S, V]) forget(key K, r *run[S, V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forgetLocked(key, r)
}

// forgetLocked is forget for a caller that holds mu.
func (g *Group[K, S, V]) forgetLocked(key K, r *run[S, V]) {
	if g.runs[key] == r {
		delete(g.runs, key)
	}
}
