package server

import (
	"context"
	"sync"
	"time"
)

// idleness measures for how long a server has had neither a request nor a build. The zero value is
// of a server that never ends by itself.
type idleness struct {
	limit time.Duration // 0 for none

	mu    sync.Mutex
	busy  int       // requests and builds in progress
	since time.Time // of the end of the last one
}

// WithIdleExit ends [Server.Serve] after that time without a request or a build. By default it
// serves until its context ends.
func WithIdleExit(limit time.Duration) Option { return func(s *Server) { s.idle.limit = limit } }

// enter counts a request or a build. The caller must call leave at its end.
func (i *idleness) enter() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.busy++
}

func (i *idleness) leave() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.busy--
	i.since = time.Now()
}

// rest returns how much idle time is left. It is the whole limit while something is in progress.
func (i *idleness) rest() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.busy > 0 {
		return i.limit
	}
	return i.limit - time.Since(i.since)
}

// expired returns a channel that is closed when the server has been idle for the limit. It is never
// closed without a limit, or if ctx ends before.
func (i *idleness) expired(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	if i.limit == 0 {
		return ended
	}
	i.enter()
	i.leave() // the time starts now
	go func() {
		timer := time.NewTimer(i.limit)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			rest := i.rest()
			if rest <= 0 {
				close(ended)
				return
			}
			timer.Reset(rest)
		}
	}()
	return ended
}
