package serve

import (
	"sync"
	"time"
)

const (
	// quietPeriod is the time without calls after which work is over. There is a short gap between
	// a build and the call that reads its layers.
	quietPeriod = 10 * time.Second
	// pollInterval is the time between two checks whether calls have ended.
	pollInterval = 50 * time.Millisecond
)

// kind of a call.
type kind int

const (
	query kind = iota
	build
	delivery // of a build's result
)

// activity tracks the calls of the daemon, to decide when it is idle.
type activity struct {
	mu sync.Mutex
	// calls in progress, by kind.
	calls [delivery + 1]int
	// lastWork is when the last build or delivery ended.
	lastWork time.Time
	// lastUse is when the last call ended, or a client announced a build.
	lastUse time.Time
	closed  bool
}

func newActivity() *activity { return &activity{lastUse: time.Now()} }

// begin counts a call until end is called. It reports false for a build after close. Calls that
// belong to running builds are always accepted.
func (a *activity) begin(k kind) (end func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed && k == build {
		return nil, false
	}
	a.calls[k]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.calls[k]--
		a.lastUse = time.Now()
		if k != query {
			a.lastWork = a.lastUse
		}
	}, true
}

// touch resets the idle time.
func (a *activity) touch() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastUse = time.Now()
}

func (a *activity) state() (builds int, closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[build], a.closed
}

// close refuses builds from now on. With ifQuiet it does nothing if work is in progress, and
// returns false.
func (a *activity) close(ifQuiet bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ifQuiet && !a.closed && a.untilQuiet() > 0 {
		return false
	}
	a.closed = true
	return true
}

// untilQuiet returns the time before work may be over, or 0 if it is. The caller holds mu.
func (a *activity) untilQuiet() time.Duration {
	if a.calls[build]+a.calls[delivery] > 0 {
		return pollInterval
	}
	return max(0, quietPeriod-time.Since(a.lastWork))
}

// awaitQuiet waits until work is over, at most for the timeout, and reports whether it is.
func (a *activity) awaitQuiet(timeout time.Duration) bool {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		a.mu.Lock()
		wait := a.untilQuiet()
		a.mu.Unlock()
		if wait == 0 {
			return true
		}
		select {
		case <-deadline.C:
			return false
		case <-time.After(wait):
		}
	}
}

// closeIfIdle closes if the daemon was not used for that long. Otherwise it returns the time before
// that can be so.
func (a *activity) closeIfIdle(idle time.Duration) (closed bool, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls[query]+a.calls[build]+a.calls[delivery] > 0 {
		return false, idle
	}
	if rest := idle - time.Since(a.lastUse); rest > 0 {
		return false, rest
	}
	a.closed = true
	return true, 0
}

// expire closes the daemon once it was idle for that long, and calls then.
func (a *activity) expire(idle time.Duration, done <-chan struct{}, then func()) {
	if idle <= 0 {
		return
	}
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return
		case <-timer.C:
		}
		closed, wait := a.closeIfIdle(idle)
		if closed {
			then()
			return
		}
		timer.Reset(wait)
	}
}
