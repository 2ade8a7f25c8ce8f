// Package feed keeps the events of one run for readers who come and go.
//
// A writer never waits for a reader, and every reader sees the events in their order, from the
// first one that is still kept. What is kept is bounded: where it gets too much, the oldest events
// that may be missed are dropped, and their numbers are missing from the sequence. The others are
// all kept, so their number is for the writer to bound.
package feed

import (
	"context"
	"iter"
	"slices"
	"sync"
)

// Feed is a sequence of events, numbered from 1. Make it with [New].
type Feed[E any] struct {
	limit int

	mu      sync.Mutex
	entries []entry[E]
	last    int64
	spare   int // weight of the entries that may be dropped
	closed  bool
	changed chan struct{} // closed at the next change
}

type entry[E any] struct {
	number int64
	weight int // 0: must stay
	event  E
}

// New makes a feed that keeps droppable events up to the given total weight, in whatever unit
// [Feed.Add] uses.
func New[E any](limit int) *Feed[E] {
	return &Feed[E]{limit: limit, changed: make(chan struct{})}
}

// Add appends the event that numbered returns for its number. An event of weight 0 is never
// dropped. After Close it does nothing.
func (f *Feed[E]) Add(weight int, numbered func(number int64) E) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.last++
	f.entries = append(f.entries, entry[E]{f.last, weight, numbered(f.last)})
	f.spare += weight
	if f.spare > f.limit {
		f.drop()
	}
	f.wake()
}

// drop makes room for a quarter of the limit, so that it is not called for each event of a flood.
func (f *Feed[E]) drop() {
	f.entries = slices.DeleteFunc(f.entries, func(e entry[E]) bool {
		if e.weight == 0 || f.spare <= f.limit*3/4 {
			return false
		}
		f.spare -= e.weight
		return true
	})
}

// Close ends the sequence for all readers once they have read what is there.
func (f *Feed[E]) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		f.wake()
	}
}

func (f *Feed[E]) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// After yields the events numbered above after, those to come included, until the feed is closed or
// ctx ends.
func (f *Feed[E]) After(ctx context.Context, after int64) iter.Seq[E] {
	return func(yield func(E) bool) {
		for {
			batch, closed, changed := f.read(after)
			for _, e := range batch {
				if ctx.Err() != nil || !yield(e.event) {
					return
				}
				after = e.number
			}
			if len(batch) > 0 {
				continue
			}
			if closed {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// readAtOnce bounds the copy that a reader makes.
const readAtOnce = 256

func (f *Feed[E]) read(after int64) (batch []entry[E], closed bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, _ := slices.BinarySearchFunc(f.entries, after+1, func(e entry[E], number int64) int {
		return int(e.number - number)
	})
	return slices.Clone(f.entries[i:min(len(f.entries), i+readAtOnce)]), f.closed, f.changed
}
