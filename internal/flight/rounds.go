package flight

import (
	"context"
	"sync"
)

// Rounds runs a function for all callers of a key who ask while it is running for others. Unlike
// in a [Group], the run that answers a caller always begins after the caller has asked, so it sees
// what was changed before. A key has one run at a time. The zero value is ready to use.
type Rounds[K comparable, V any] struct {
	mu   sync.Mutex
	keys map[K]*turns[V]
}

// turns are the round of a key that is running, and the one that begins after it.
type turns[V any] struct{ running, next *round[V] }

type round[V any] struct {
	callers int
	run     func() (V, error)
	cancel  context.CancelFunc
	done    chan struct{} // closed after value and err are set
	value   V
	err     error
}

// Do returns the result of a run of fn that begins after this call. The function and the values of
// its context are those of the first caller of the round. first reports whether that is this one.
// The run is cancelled when all of its callers have left by the end of ctx; the last one waits for
// the end of it.
func (r *Rounds[K, V]) Do(
	ctx context.Context, key K, fn func(context.Context) (V, error),
) (value V, first bool, err error) {
	if err := ctx.Err(); err != nil {
		return value, false, err
	}
	mine, first := r.join(ctx, key, fn)
	select {
	case <-mine.done:
		return mine.value, first, mine.err
	case <-ctx.Done():
		if r.leave(key, mine) {
			<-mine.done
		}
		return value, first, ctx.Err()
	}
}

// join adds a caller to the next round of the key.
func (r *Rounds[K, V]) join(
	ctx context.Context, key K, fn func(context.Context) (V, error),
) (_ *round[V], first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.keys[key]
	if t != nil && t.next != nil {
		t.next.callers++
		return t.next, false
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) //nolint:gosec // all calls it
	mine := &round[V]{callers: 1, cancel: cancel, done: make(chan struct{}),
		run: func() (V, error) { return fn(ctx) }}
	if t != nil {
		t.next = mine
		return mine, true
	}
	if r.keys == nil {
		r.keys = map[K]*turns[V]{}
	}
	t = &turns[V]{running: mine}
	r.keys[key] = t
	go r.all(key, t)
	return mine, true
}

// all runs the rounds of a key until nobody asks any more.
func (r *Rounds[K, V]) all(key K, t *turns[V]) {
	for now := t.running; now != nil; now = r.turn(key, t) {
		now.value, now.err = now.run()
		now.cancel()
		close(now.done)
	}
}

// turn makes the next round the running one. It returns nil if there is none.
func (r *Rounds[K, V]) turn(key K, t *turns[V]) *round[V] {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.running, t.next = t.next, nil
	if t.running == nil {
		delete(r.keys, key)
	}
	return t.running
}

// leave removes a caller from a round. wait reports whether it was the last one of a run that is
// running, which is cancelled then. A round that has not begun is dropped.
func (r *Rounds[K, V]) leave(key K, mine *round[V]) (wait bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	mine.callers--
	if mine.callers > 0 {
		return false
	}
	mine.cancel()
	if t := r.keys[key]; t != nil && t.next == mine {
		t.next = nil
		return false
	}
	return true
}
