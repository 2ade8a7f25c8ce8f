package buildkit

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

// watchdog cancels a Build that makes no progress. It watches the fetch and the steps until the
// image is solved, and then each layer while it is read. It does not watch the time between, since
// neither BuildKit's export nor an engine that unpacks reports progress. It also cancels a Build
// that exceeds its time limit, whether it makes progress or not.
type watchdog struct {
	after  time.Duration // how long without progress; 0 means never
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer
	watches int // calls of watch that have not ended
	state   map[digest.Digest]vertexState
	current map[statusKey]statusState
	// extracting has the layers that a worker unpacks. It reports only the start and the end of
	// that.
	extracting map[statusKey]bool
	// running is the step that last ran, for the error.
	running string
	// open has the names of the vertices that run.
	open map[digest.Digest]string
}

// extractingPrefix begins the ID of the status of a layer's unpacking (BuildKit v0.34,
// cache/refs.go).
const extractingPrefix = "extracting "

type vertexState struct{ started, completed, failed bool }

type statusState struct {
	current            int64
	started, completed bool
}

type statusKey struct {
	vertex digest.Digest
	id     string
}

func newWatchdog(after time.Duration, cancel context.CancelCauseFunc) *watchdog {
	return &watchdog{after: after, cancel: cancel, state: map[digest.Digest]vertexState{},
		current: map[statusKey]statusState{}, extracting: map[statusKey]bool{},
		open: map[digest.Digest]string{}}
}

// watch expects progress until done is called. Watches may overlap; progress in one counts for all.
func (w *watchdog) watch(stalled func() error) (done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.after <= 0 {
		return func() {}
	}
	w.watches++
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = time.AfterFunc(w.after, func() { w.expired(stalled) })
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.watches--; w.watches == 0 {
			w.timer.Stop()
		}
	})
}

func (w *watchdog) expired(stalled func() error) {
	w.mu.Lock()
	busy := len(w.extracting) > 0
	if busy {
		w.timer.Reset(w.after)
	}
	w.mu.Unlock()
	if !busy {
		w.cancel(stalled())
	}
}

// progress postpones the end of all watches.
func (w *watchdog) progress() {
	w.mu.Lock()
	defer w.mu.Unlock()
	// If the timer has expired, the Build is cancelled already.
	if w.watches > 0 && w.timer.Stop() {
		w.timer.Reset(w.after)
	}
}

// observe looks for progress in a status. BuildKit repeats the state of a download many times a
// second, with or without progress.
func (w *watchdog) observe(s *client.SolveStatus) {
	moved := len(s.Logs) > 0
	w.mu.Lock()
	for _, v := range s.Vertexes {
		now := vertexState{v.Started != nil, v.Completed != nil, v.Error != ""}
		if w.state[v.Digest] != now {
			w.state[v.Digest], moved = now, true
		}
		if now.started && !now.completed {
			w.running, w.open[v.Digest] = v.Name, v.Name
		}
		if now.completed || now.failed {
			delete(w.open, v.Digest)
			maps.DeleteFunc(w.extracting, func(k statusKey, _ bool) bool {
				return k.vertex == v.Digest
			})
		}
	}
	for _, st := range s.Statuses {
		key, now := statusKey{st.Vertex, st.ID},
			statusState{st.Current, st.Started != nil, st.Completed != nil}
		if before, known := w.current[key]; !known || before != now {
			w.current[key], moved = now, true
		}
		switch {
		case !strings.HasPrefix(st.ID, extractingPrefix):
		case now.completed:
			delete(w.extracting, key)
		case now.started:
			w.extracting[key] = true
		}
	}
	w.mu.Unlock()
	if moved {
		w.progress()
	}
}

// stalledStep returns the error for a fetch or a step. It is of the kind [ErrFetch] or [ErrSource]
// if the builder waits for a server.
func (w *watchdog) stalledStep() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range w.open {
		if kind := waitsFor(name); kind != nil {
			return &Error{Op: "solve", Kind: kind, Err: errdef.In(errdef.SourceUnavailable, "",
				fmt.Errorf("%w: nothing moved for %s: the last step that ran is %s", ErrStalled,
					w.after, name))}
		}
	}
	return &Error{Op: "solve", Kind: ErrStalled, Err: errdef.In(errdef.BuildStalled, "",
		fmt.Errorf("nothing moved for %s: %s", w.after, w.place()))}
}

// limit cancels the Build at the end of the rest of its time limit, unless done is called before.
func (w *watchdog) limit(rest, limit time.Duration) (done func()) {
	if limit <= 0 {
		return func() {}
	}
	timer := time.AfterFunc(max(rest, 0), func() { w.cancel(w.overLimit(limit)) })
	return func() { timer.Stop() }
}

func (w *watchdog) overLimit(limit time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &Error{Op: "solve", Kind: ErrTimeLimit, Err: errdef.In(errdef.TimeLimit, "",
		fmt.Errorf("it was not done after %s, its time limit: %s", limit, w.place()))}
}

// place says how far the Build is. The caller holds the lock.
func (w *watchdog) place() string {
	if w.running == "" {
		return "the builder has not started"
	}
	return "the last step that ran is " + w.running
}

// stalledDelivery returns the error for a transfer.
func (w *watchdog) stalledDelivery(subject string) error {
	return &Error{Op: "deliver", Kind: ErrDelivery, Err: errdef.In(errdef.DeliveryStalled, "",
		fmt.Errorf("%w: no byte of %s moved for %s", ErrStalled, subject, w.after))}
}
