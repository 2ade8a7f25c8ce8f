package resolver

import (
	"context"
	"sync"
)

// flight lets callers with one key share one run of a function. Nothing
// outlives the run: a later caller starts another. The zero value is ready.
type flight[K comparable, V any] struct {
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

// do waits for fn's result or for ctx. One caller that gives up doesn't disturb
// the others; when the last has gone, fn's context is cancelled and the run can
// no longer be joined. The context that fn gets has the first caller's values.
func (f *flight[K, V]) do(ctx context.Context, key K, fn func(context.Context) (V, error)) (V, error) {
	if err := ctx.Err(); err != nil {
		var zero V
		return zero, err
	}
	r := f.join(ctx, key, fn)
	defer f.leave(key, r)
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		var zero V
		return zero, ctx.Err()
	}
}

func (f *flight[K, V]) join(ctx context.Context, key K, fn func(context.Context) (V, error)) *run[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.runs[key]; r != nil {
		r.waiters++
		return r
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &run[V]{waiters: 1, cancel: cancel, done: make(chan struct{})}
	if f.runs == nil {
		f.runs = make(map[K]*run[V])
	}
	f.runs[key] = r
	go func() {
		r.value, r.err = fn(ctx)
		f.forget(key, r)
		close(r.done)
	}()
	return r
}

func (f *flight[K, V]) leave(key K, r *run[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.waiters--
	if r.waiters == 0 {
		r.cancel()
		if f.runs[key] == r {
			delete(f.runs, key)
		}
	}
}

// forget makes room for the next run as soon as this one has its result.
func (f *flight[K, V]) forget(key K, r *run[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.runs[key] == r {
		delete(f.runs, key)
	}
}
