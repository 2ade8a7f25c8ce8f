package buildkit

import (
	"slices"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
)

// maxWaiting is how many statuses wait for a slow receiver before they are merged.
const maxWaiting = 4096

// closePatience is how long the end of a build waits for a receiver that takes no status.
const closePatience = 10 * time.Second

// handover passes statuses to a receiver on a goroutine of its own, in their order. A receiver that
// blocks, such as a terminal that was stopped, holds up neither the build's steps nor those who
// watch it, and the end of the build for closePatience at most.
// The receiver gets every state of every vertex, unless it falls far behind: then it gets the last
// states, and misses lines that were printed.
type handover struct {
	receive func(*client.SolveStatus)
	done    chan struct{}

	mu      sync.Mutex
	more    *sync.Cond
	waiting []*client.SolveStatus
	merged  *client.SolveStatus // the last of waiting, if others were merged into it
	closed  bool
	taken   int // how many statuses the receiver has taken
}

func newHandover(receive func(*client.SolveStatus)) *handover {
	h := &handover{receive: receive, done: make(chan struct{})}
	h.more = sync.NewCond(&h.mu)
	go h.run()
	return h
}

// put takes a status. It does not block.
func (h *handover) put(s *client.SolveStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.more.Signal()
	if h.merged == nil && len(h.waiting) < maxWaiting {
		h.waiting = append(h.waiting, s)
		return
	}
	if h.merged == nil {
		h.merged = &client.SolveStatus{}
		h.waiting = append(h.waiting, h.merged)
	}
	merge(h.merged, s)
}

// merge adds the states of vertices to those in a status, in place of earlier states.
func merge(into, s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		i := slices.IndexFunc(into.Vertexes, func(o *client.Vertex) bool {
			return o.Digest == v.Digest
		})
		if i < 0 {
			into.Vertexes = append(into.Vertexes, v)
		} else {
			into.Vertexes[i] = v
		}
	}
}

func (h *handover) run() {
	defer close(h.done)
	for {
		h.mu.Lock()
		for len(h.waiting) == 0 && !h.closed {
			h.more.Wait()
		}
		if len(h.waiting) == 0 {
			h.mu.Unlock()
			return
		}
		s := h.waiting[0]
		h.waiting = h.waiting[1:]
		if len(h.waiting) == 0 {
			h.waiting = nil
		}
		if s == h.merged {
			h.merged = nil
		}
		h.taken++
		h.mu.Unlock()
		h.receive(s)
	}
}

// close returns once the receiver has taken all statuses, or has taken none for closePatience. Then
// it gets no other.
func (h *handover) close() {
	h.mu.Lock()
	h.closed = true
	before := h.taken
	h.more.Signal()
	h.mu.Unlock()
	for {
		select {
		case <-h.done:
			return
		case <-time.After(closePatience):
		}
		h.mu.Lock()
		stuck := h.taken == before
		before = h.taken
		if stuck {
			h.waiting = nil
		}
		h.mu.Unlock()
		if stuck {
			return
		}
	}
}
