// Package queue lets a bounded number of runs go on at once. The others wait in the order in which
// they came and are told their place.
package queue

import (
	"context"
	"slices"
	"sync"
)

// Queue is a door that so many may be behind at once. Make it with [New].
type Queue struct {
	mu      sync.Mutex
	free    int
	waiting []*waiter
}

type waiter struct {
	// moved has the latest place only: nobody waits for whoever reads it.
	moved chan int
}

// New makes a queue with so many places; below 1 there is no bound.
func New(places int) *Queue {
	if places < 1 {
		return nil
	}
	return &Queue{free: places}
}

// Enter waits for a place. told hears how many are to go first, the asker included (1 is the next),
// whenever that changes; it is not called if there is a place at once. leave gives the place back
// and may be called once. The error is the context's. A nil Queue has places without end.
func (q *Queue) Enter(ctx context.Context, told func(position int)) (leave func(), err error) {
	if q == nil {
		return func() {}, nil
	}
	w := q.join()
	if w == nil {
		return q.leave, nil
	}
	for {
		select {
		case position := <-w.moved:
			if position == 0 {
				return q.leave, nil
			}
			told(position)
		case <-ctx.Done():
			q.withdraw(w)
			return nil, ctx.Err()
		}
	}
}

// join returns nil if there is a place.
func (q *Queue) join() *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free > 0 {
		q.free--
		return nil
	}
	w := &waiter{moved: make(chan int, 1)}
	q.waiting = append(q.waiting, w)
	w.tell(len(q.waiting))
	return w
}

func (q *Queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.free++
		return
	}
	q.waiting[0].tell(0)
	q.waiting = q.waiting[1:]
	q.tellAll()
}

// withdraw takes a waiter out, or gives back the place that it got in that instant.
func (q *Queue) withdraw(w *waiter) {
	q.mu.Lock()
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		q.tellAll()
	}
	q.mu.Unlock()
	if i < 0 {
		q.leave()
	}
}

func (q *Queue) tellAll() {
	for i, w := range q.waiting {
		w.tell(i + 1)
	}
}

// tell replaces what has not been read. The caller holds the queue's lock, so there is one writer.
func (w *waiter) tell(position int) {
	select {
	case <-w.moved:
	default:
	}
	w.moved <- position
}
