// Package feed stores the events of one run for readers that may come at any time.
//
// It guarantees that a writer never waits for a reader, and that every reader gets the events in
// their order from the first one in the feed. The events with a weight are bounded: beyond the
// bound the oldest of them are dropped, and their numbers are missing from the sequence. It does
// not bound the events of weight 0; the writer must.
package feed

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"sync"
)

// Feed is a sequence of events, numbered from 1. [New] makes one.
type Feed[E any] struct {
	limit int

	mu      sync.Mutex
	entries []entry[E]
	last    int64
	spare   int // total weight of the entries
	closed  bool
	changed chan struct{} // closed at the next change
}

type entry[E any] struct {
	number int64
	weight int // 0 if it must stay
	event  E
}

// New returns a feed whose events have a total weight of at most limit, in the unit of [Feed.Add].
func New[E any](limit int) *Feed[E] {
	return &Feed[E]{limit: limit, changed: make(chan struct{})}
}

// Add appends the event that event returns for its number. An event of weight 0 is never dropped.
// After Close it does nothing.
func (f *Feed[E]) Add(weight int, event func(number int64) E) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.append(weight, event)
}

// Replace is Add, but first removes the last event if isOld reports that the new one replaces it.
func (f *Feed[E]) Replace(weight int, event func(number int64) E, isOld func(E) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if n := len(f.entries); n > 0 && isOld(f.entries[n-1].event) {
		f.spare -= f.entries[n-1].weight
		f.entries = slices.Delete(f.entries, n-1, n)
	}
	f.append(weight, event)
}

// append adds an event. The caller holds the lock.
func (f *Feed[E]) append(weight int, event func(number int64) E) {
	f.last++
	f.entries = append(f.entries, entry[E]{f.last, weight, event(f.last)})
	f.spare += weight
	if f.spare > f.limit {
		f.drop()
	}
	f.wake()
}

// drop makes room for a quarter of the limit, so that it does not run for each event of a flood.
func (f *Feed[E]) drop() {
	f.entries = slices.DeleteFunc(f.entries, func(e entry[E]) bool {
		if e.weight == 0 || f.spare <= f.limit*3/4 {
			return false
		}
		f.spare -= e.weight
		return true
	})
}

// Close ends the sequence. Readers still get the events that are in the feed.
func (f *Feed[E]) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		f.wake()
	}
}

// wake wakes the readers. The caller holds the lock.
func (f *Feed[E]) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// After yields the events with numbers above after, and waits for new ones until the feed is closed
// or ctx ends.
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

// batchSize bounds the number of events that a reader copies at once.
const batchSize = 256

// read returns the next events after a number, whether the feed is closed, and a channel that is
// closed at the next change.
func (f *Feed[E]) read(after int64) (batch []entry[E], closed bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, found := slices.BinarySearchFunc(f.entries, after, func(e entry[E], number int64) int {
		return cmp.Compare(e.number, number)
	})
	if found {
		i++
	}
	return slices.Clone(f.entries[i:min(len(f.entries), i+batchSize)]), f.closed, f.changed
}
