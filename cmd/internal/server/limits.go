package server

import "time"

// limits bound what callers can make the server hold.
type limits struct {
	header  time.Duration // for a request's header
	idle    time.Duration // of a connection between two requests
	body    time.Duration // for a request's body
	write   time.Duration // for one piece of an answer to be taken
	ready   time.Duration // for the image store to answer
	beat    time.Duration // between two signs of life on an event stream
	farwell time.Duration // for answers to be taken once all builds have ended

	headerBytes int
	bodyBytes   int64
	hookBytes   int64 // a push of many commits takes some hundred kilobytes

	interests int // callers that wait, or have not withdrawn
	streams   int
	hooks     int // at once
	// bodies of webhooks that are read at once, in all and from one address
	readers, readersEach int
	ended                int // builds that are remembered
}

func defaultLimits() limits {
	return limits{
		header: 10 * time.Second, idle: 2 * time.Minute, body: 10 * time.Second,
		write: 30 * time.Second,
		ready: 5 * time.Second, beat: 15 * time.Second, farwell: 5 * time.Second,
		headerBytes: 16 << 10, bodyBytes: 16 << 10, hookBytes: 1 << 20,
		interests: 4096, streams: 1024, hooks: 16, readers: 64, readersEach: 16, ended: 100,
	}
}

// slots are a bounded number of places.
type slots chan struct{}

func newSlots(n int) slots { return make(slots, n) }

// take returns whether there was a place left.
func (s slots) take() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) free() { <-s }
