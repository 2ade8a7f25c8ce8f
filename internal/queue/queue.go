// Package queue bounds the number of runs at the same time. The others wait and get their
// positions.
//
// It guarantees that runs of one rank get their places in the order in which they came, and that a
// run that gives up loses no place. It does not guarantee that a waiting run gets every position: a
// newer one replaces an older one.
package queue

import (
	"slices"
	"sync"
)

// Queue is a number of places and the turns that wait for one. [New] makes one.
type Queue struct {
	mu      sync.Mutex
	free    int
	waiting []*Turn // by rank, and within a rank in the order in which they came
}

// New returns a queue with a number of places. Below 1 it returns nil, a queue without a bound.
func New(places int) *Queue {
	if places < 1 {
		return nil
	}
	return &Queue{free: places}
}

// join takes a place for the turn, or lets it wait. It reports whether it took one.
func (q *Queue) join(t *Turn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free > 0 {
		q.free--
		return true
	}
	q.insert(t)
	return false
}

// insert puts a turn behind those of its rank. The caller holds the lock.
func (q *Queue) insert(t *Turn) {
	i, _ := slices.BinarySearchFunc(q.waiting, t.rank+1, func(w *Turn, r rank) int {
		return int(w.rank - r)
	})
	q.waiting = slices.Insert(q.waiting, i, t)
	q.sendFrom(i)
}

// leave gives a place to the first turn that waits, or frees it.
func (q *Queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.free++
		return
	}
	q.waiting[0].send(0)
	q.waiting = slices.Delete(q.waiting, 0, 1)
	q.sendFrom(0)
}

// withdraw removes a turn, or gives back the place if the turn has just got one.
func (q *Queue) withdraw(t *Turn) {
	q.mu.Lock()
	removed := q.remove(t)
	q.mu.Unlock()
	if !removed {
		q.leave()
	}
}

// remove reports whether the turn was waiting. The caller holds the lock.
func (q *Queue) remove(t *Turn) bool {
	i := slices.Index(q.waiting, t)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.sendFrom(i)
	return true
}

// promote gives a turn a better rank.
func (q *Queue) promote(t *Turn, to rank) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.rank <= to {
		return
	}
	waiting := q.remove(t)
	t.rank = to
	if waiting {
		q.insert(t)
	}
}

// sendFrom sends the positions that have changed, those from an index on. The caller holds the
// lock.
func (q *Queue) sendFrom(i int) {
	for ; i < len(q.waiting); i++ {
		q.waiting[i].send(i + 1)
	}
}
