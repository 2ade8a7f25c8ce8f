// Package flight lets callers who want the same thing at the same time share one run of it.
//
// Nothing outlives a run: a result, good or bad, goes to those who waited for it, and whoever comes later
// starts another.
package flight

import (
	"context"
	"sync"
)

// Group shares runs by key. The zero value is ready.
type Group[K comparable, V any] struct {
	mu   sync.Mutex
	runs map[K]*run[V]
}

type run[V any] struct {
	waiters int
	cancel  context.CancelFunc
	done    chan struct{} // closed after value and err are set
	value   V
	err     error
}

// Do waits for fn's result or for ctx. One caller that gives up does not disturb the others. The last one to
// give up cancels fn's context and stays until fn has returned, so that nothing is left behind; by then the run
// can no longer be joined. The context that fn gets has the first caller's values.
func (g *Group[K, V]) Do(ctx context.Context, key K, fn func(context.Context) (V, error)) (V, error) {
	var zero V
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	r := g.join(ctx, key, fn)
	select {
	case <-r.done:
		g.leave(key, r)
		return r.value, r.err
	case <-ctx.Done():
		if last := g.leave(key, r); last {
			<-r.done
		}
		return zero, ctx.Err()
	}
}

func (g *Group[K, V]) join(ctx context.Context, key K, fn func(context.Context) (V, error)) *run[V] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.runs[key]; r != nil {
		r.waiters++
		return r
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &run[V]{waiters: 1, cancel: cancel, done: make(chan struct{})}
	if g.runs == nil {
		g.runs = make(map[K]*run[V])
	}
	g.runs[key] = r
	go func() {
		r.value, r.err = fn(ctx)
		g.forget(key, r)
		close(r.done)
	}()
	return r
}

func (g *Group[K, V]) leave(key K, r *run[V]) (last bool) {
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
func (g *Group[K, V]) forget(key K, r *run[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.runs[key] == r {
		delete(g.runs, key)
	}
}
