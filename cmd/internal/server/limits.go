package server

import "time"

// limits bound the resources that callers can use.
type limits struct {
	header    time.Duration // for a request's header
	idle      time.Duration // of a connection between two requests
	body      time.Duration // for a request's body
	write     time.Duration // for the caller to accept one write
	ready     time.Duration // for the image store to answer
	heartbeat time.Duration // between two comments on an event stream
	patience  time.Duration // for a build, if the caller that waits names no time
	shutdown  time.Duration // for the last responses, once all builds have ended

	headerBytes int
	bodyBytes   int64
	hookBytes   int64 // a push of many commits has some hundred kilobytes

	interests int // of waiting callers, and those not withdrawn
	streams   int
	hooks     int // concurrent
	surveys   int // concurrent, of the whole store or builder
	// concurrent reads of webhook bodies, in total and for each address
	readers, readersEach int
	history              int // ended builds that the server remembers
}

func defaultLimits() limits {
	return limits{
		header: 10 * time.Second, idle: 2 * time.Minute, body: 10 * time.Second,
		write: 30 * time.Second,
		ready: 5 * time.Second, heartbeat: 15 * time.Second,
		// The least patient proxies and load balancers end a request after 30 s.
		patience: 25 * time.Second, shutdown: 5 * time.Second,
		headerBytes: 16 << 10, bodyBytes: 16 << 10, hookBytes: 1 << 20,
		interests: 4096, streams: 1024, hooks: 16, surveys: 4, readers: 64, readersEach: 16,
		history: 100,
	}
}

// slots is a counting semaphore.
type slots chan struct{}

func newSlots(n int) slots { return make(slots, n) }

// take reports whether a slot was available. If it was, the caller must call free.
func (s slots) take() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) free() { <-s }

// place is the slot of one request, which may outlive it.
type place struct {
	free func()
	kept bool
}

// keep returns the function that frees the slot; end does not do it any more.
func (p *place) keep() (free func()) {
	p.kept = true
	return p.free
}

// end is the end of the request.
func (p *place) end() {
	if !p.kept {
		p.free()
	}
}
