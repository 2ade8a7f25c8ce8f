package serve

import (
	"sync"
	"time"
)

const (
	// settle is how long it has to be quiet for work to be over: between a build and the reading of
	// the layers that it made, nothing is under way for a moment.
	settle = 10 * time.Second
	// lookAgain is how often somebody looks who waits for calls to end.
	lookAgain = 50 * time.Millisecond
)

// kind of a call.
type kind int

const (
	question kind = iota
	build
	delivery // of what was built
)

// activity knows whether anybody wants anything of the daemon.
type activity struct {
	mu sync.Mutex
	// calls under way, by kind.
	calls [delivery + 1]int
	// worked is when the last build or delivery ended, wanted when the last call did, or somebody
	// said that one is to come.
	worked, wanted time.Time
	closed         bool
}

func newActivity() *activity { return &activity{wanted: time.Now()} }

// begin counts a call until end is called. It is false for a build that is not taken any more; what
// belongs to those under way is.
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
		a.wanted = time.Now()
		if k != question {
			a.worked = a.wanted
		}
	}, true
}

// touch makes the idle time begin anew.
func (a *activity) touch() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wanted = time.Now()
}

func (a *activity) state() (builds int, closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[build], a.closed
}

// close takes no more builds from now on. With ifSettled it leaves a daemon alone that works, and
// is false then.
func (a *activity) close(ifSettled bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ifSettled && !a.closed && a.unsettled() > 0 {
		return false
	}
	a.closed = true
	return true
}

// unsettled is how long to wait before work may be over, 0 if it is. The lock is held.
func (a *activity) unsettled() time.Duration {
	if a.calls[build]+a.calls[delivery] > 0 {
		return lookAgain
	}
	return max(0, settle-time.Since(a.worked))
}

// settles waits until work is over, for that long at most.
func (a *activity) settles(within time.Duration) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		a.mu.Lock()
		wait := a.unsettled()
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

// closeIfIdle closes if nothing was wanted for that long. Else it says how long to wait before it
// may be so.
func (a *activity) closeIfIdle(idle time.Duration) (closed bool, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls[question]+a.calls[build]+a.calls[delivery] > 0 {
		return false, idle
	}
	if rest := idle - time.Since(a.wanted); rest > 0 {
		return false, rest
	}
	a.closed = true
	return true, 0
}

// expire calls then when the daemon was idle for that long and has been closed for it.
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
