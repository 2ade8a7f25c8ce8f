package serve

import (
	"sync"
	"time"
)

// activity knows whether anybody wants anything of the daemon.
type activity struct {
	mu sync.Mutex
	// calls under way, and how many of them build.
	calls, builds int
	// last is when the last call ended, or somebody said that one is to come.
	last   time.Time
	closed bool
	// drained is closed when the daemon is closed and builds nothing any more.
	drained chan struct{}
}

func newActivity() *activity {
	return &activity{last: time.Now(), drained: make(chan struct{})}
}

// begin counts a call until end is called. It is false once the daemon takes no more.
func (a *activity) begin(build bool) (end func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, false
	}
	a.count(build, 1)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.count(build, -1)
		a.last = time.Now()
		a.drain()
	}, true
}

func (a *activity) count(build bool, by int) {
	a.calls += by
	if build {
		a.builds += by
	}
}

// drain is called with the lock held.
func (a *activity) drain() {
	if !a.closed || a.builds > 0 {
		return
	}
	select {
	case <-a.drained:
	default:
		close(a.drained)
	}
}

// touch makes the idle time begin anew.
func (a *activity) touch() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = time.Now()
}

func (a *activity) state() (builds int, closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.builds, a.closed
}

// close takes no more calls from now on. With ifNoBuild it leaves a daemon alone that builds, and is false then.
func (a *activity) close(ifNoBuild bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ifNoBuild && a.builds > 0 && !a.closed {
		return false
	}
	a.closed = true
	a.drain()
	return true
}

// closeIfIdle closes if nothing was wanted for that long. Else it says how long to wait before it may be so.
func (a *activity) closeIfIdle(idle time.Duration) (closed bool, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls > 0 {
		return false, idle
	}
	if rest := idle - time.Since(a.last); rest > 0 {
		return false, rest
	}
	a.closed = true
	a.drain()
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
