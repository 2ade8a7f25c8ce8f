// Package queue bounds the number of runs at the same time. The others wait in the order in which
// they came and get their positions.
//
// It guarantees that order, and that a caller that gives up loses no place. It does not guarantee
// that a waiting caller gets every position: a newer one replaces an older one.
package queue

import (
	"context"
	"slices"
	"sync"
)

// Queue is a number of places and the callers that wait for one. [New] makes one.
type Queue struct {
	mu      sync.Mutex
	free    int
	waiting []*waiter
}

type waiter struct {
	// position has the newest position alone, so that the writer never waits. 0 is a place.
	position chan int
}

// New returns a queue with a number of places. Below 1 it returns nil, a queue without a bound.
func New(places int) *Queue {
	if places < 1 {
		return nil
	}
	return &Queue{free: places}
}

// Enter waits for a place. It calls report with the caller's position (1 is the next) whenever that
// changes, and not at all if a place is free. leave gives the place back and may be called once.
// The error is the context's. A nil Queue always has a free place.
func (q *Queue) Enter(ctx context.Context, report func(position int)) (leave func(), err error) {
	if q == nil {
		return func() {}, nil
	}
	w := q.join()
	if w == nil {
		return q.leave, nil
	}
	for {
		select {
		case position := <-w.position:
			if position == 0 {
				return q.leave, nil
			}
			report(position)
		case <-ctx.Done():
			q.withdraw(w)
			return nil, ctx.Err()
		}
	}
}

// join takes a place and returns nil, or returns a new waiter.
func (q *Queue) join() *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free > 0 {
		q.free--
		return nil
	}
	w := &waiter{position: make(chan int, 1)}
	q.waiting = append(q.waiting, w)
	w.send(len(q.waiting))
	return w
}

// leave gives a place to the first waiter, or frees it.
func (q *Queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.free++
		return
	}
	q.waiting[0].send(0)
	q.waiting = q.waiting[1:]
	q.sendAll()
}

// withdraw removes a waiter, or gives back the place if the waiter has just got one.
func (q *Queue) withdraw(w *waiter) {
	q.mu.Lock()
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		q.sendAll()
	}
	q.mu.Unlock()
	if i < 0 {
		q.leave()
	}
}

func (q *Queue) sendAll() {
	for i, w := range q.waiting {
		w.send(i + 1)
	}
}

// send replaces a position that has not been read. The caller holds the queue's lock, so there is
// one writer.
func (w *waiter) send(position int) {
	select {
	case <-w.position:
	default:
	}
	w.position <- position
}
