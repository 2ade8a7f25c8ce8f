package server

import (
	"net"
	"net/http"
	"sync"
)

// readers bounds the concurrent reads of bodies from unauthenticated senders, in total and for each
// address. The bound for each address keeps one slow sender from blocking all others.
type readers struct {
	max, maxPerAddress int

	mu         sync.Mutex
	total      int            // guarded by mu
	perAddress map[string]int // guarded by mu
}

func newReaders(limit, perAddress int) *readers {
	return &readers{max: limit, maxPerAddress: perAddress, perAddress: map[string]int{}}
}

// take reports whether a body from that address may be read. If it may, the caller must call free.
// All senders on a unix socket count as one address.
func (r *readers) take(from string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total >= r.max || r.perAddress[from] >= r.maxPerAddress {
		return false
	}
	r.total++
	r.perAddress[from]++
	return true
}

func (r *readers) free(from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total--
	if r.perAddress[from]--; r.perAddress[from] == 0 {
		delete(r.perAddress, from)
	}
}

// addressOf returns the address of the request's sender, without the port.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
