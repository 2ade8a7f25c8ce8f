// Package inspection shares inspections of images between callers, and remembers them for as long
// as the store reports no change.
//
// It guarantees that an answer describes the image as it was at some moment after the caller has
// asked, as far as the store reports changes: a caller who asks when `docker tag`, `rmi`, `load` or
// `pull` has returned sees what they did. A change that the store does not report is seen after
// [maxAge] at the latest. Errors are never remembered.
package inspection

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/flight"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

const (
	// maxAge bounds how long an inspection is used. Engines do not report all changes, see
	// [imagestore.ChangeReporter]. With 64 callers and 5,000 answers a second, fewer than one
	// answer in a hundred waits for the inspection that replaces it.
	maxAge = 2 * time.Second
	// maxRemembered bounds the images that are remembered. One more, and all are forgotten.
	maxRemembered = 1024
)

// Desk makes inspections for many callers. [NewDesk] makes one.
type Desk struct {
	remembers bool
	rounds    flight.Rounds[question, answer]

	mu    sync.Mutex
	known map[question]memory

	asked, shared, remembered atomic.Int64
}

// question is what callers share an inspection by.
type question struct {
	store imagestore.Store
	ref   string
}

type answer struct {
	image imagestore.Image
	// inspected reports whether the store was asked for the image.
	inspected bool
}

// memory is an inspection, with the last change that the store had reported before it began. A
// change of "" is unknown.
type memory struct {
	image  imagestore.Image
	change string
	begun  time.Time
}

// NewDesk returns a desk that shares inspections. If remembers is true, it also remembers them,
// which costs a request for the last change each time.
func NewDesk(remembers bool) *Desk {
	return &Desk{remembers: remembers, known: map[question]memory{}}
}

// Counts are numbers of answers since the desk was made.
type Counts struct {
	Asked      int64 // for which the store inspected the image
	Shared     int64 // those of another caller's inspection
	Remembered int64 // of an earlier inspection, after which nothing had changed
}

// Counts returns the numbers of answers so far.
func (d *Desk) Counts() Counts {
	return Counts{Asked: d.asked.Load(), Shared: d.shared.Load(), Remembered: d.remembered.Load()}
}

// At returns the store with inspections by this desk, which share what they return: callers do not
// change it. A store whose inspections take no requests is returned as it is.
func (d *Desk) At(store imagestore.Store) imagestore.Store {
	if _, isEngine := store.(imagestore.ChangeReporter); !isEngine {
		return store
	}
	return desked{store, d}
}

// desked is a store whose inspections are shared.
type desked struct {
	imagestore.Store
	desk *Desk
}

// Inspect implements [imagestore.Inspector].
func (s desked) Inspect(ctx context.Context, ref string) (imagestore.Image, error) {
	return s.desk.inspect(ctx, question{s.Store, ref})
}

func (d *Desk) inspect(ctx context.Context, q question) (imagestore.Image, error) {
	a, first, err := d.rounds.Do(ctx, q, func(ctx context.Context) (answer, error) {
		return d.answer(ctx, q)
	})
	switch {
	case err == nil && !a.inspected:
		d.remembered.Add(1)
	case first:
		d.asked.Add(1)
	default:
		d.shared.Add(1)
	}
	return a.image, err
}

// answer is one round. It asks for the last change before it inspects, so that a change during the
// inspection makes the memory invalid.
func (d *Desk) answer(ctx context.Context, q question) (answer, error) {
	begun := time.Now()
	old, isKnown := d.recall(q)
	change := ""
	if isKnown {
		change = lastChange(ctx, q.store)
		if change != "" && change == old.change && begun.Sub(old.begun) < maxAge {
			return answer{image: old.image}, nil
		}
	}
	img, err := q.store.Inspect(ctx, q.ref)
	if err == nil && d.remembers && img.Kind == imagestore.KindContainerd {
		d.remember(q, memory{img, change, begun})
	} else if isKnown {
		d.forget(q)
	}
	return answer{image: img, inspected: true}, err
}

// lastChange returns the last change that the store reports, or "".
func lastChange(ctx context.Context, store imagestore.Store) string {
	reporter, ok := store.(imagestore.ChangeReporter)
	if !ok {
		return ""
	}
	change, err := reporter.LastChange(ctx)
	if err != nil {
		return ""
	}
	return change
}

func (d *Desk) recall(q question) (memory, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, ok := d.known[q]
	return m, ok
}

func (d *Desk) remember(q question, m memory) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxRemembered {
		clear(d.known)
	}
	d.known[q] = m
}

func (d *Desk) forget(q question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, q)
}
