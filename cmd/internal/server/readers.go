package server

import (
	"net"
	"net/http"
	"sync"
)

// readers bound how many bodies are read at once that come without a credential: in all, and from
// one address. Without the second one slow sender could keep all others out.
type readers struct {
	all, each int

	mu sync.Mutex
	n  int            // guarded by mu
	by map[string]int // guarded by mu
}

func newReaders(all, each int) *readers {
	return &readers{all: all, each: each, by: map[string]int{}}
}

// take returns whether there was a place left for the sender. All on a unix socket are one.
func (r *readers) take(from string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n >= r.all || r.by[from] >= r.each {
		return false
	}
	r.n++
	r.by[from]++
	return true
}

func (r *readers) free(from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n--
	if r.by[from]--; r.by[from] == 0 {
		delete(r.by, from)
	}
}

// addressOf a request's sender, without the port.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
