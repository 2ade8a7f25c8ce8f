package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// relay passes connections on to a server, byte by byte, and notes when something passed and which
// requests there were. It is for programs that make a few requests of HTTP/1.
type relay struct {
	net.Listener
	network, to string // the server's

	mu     sync.Mutex
	first  time.Time // byte to the server
	last   time.Time // byte from the server
	asked  []*bytes.Buffer
	opened map[net.Conn]bool
}

// newRelay listens on an address of a network ("tcp" or "unix") for a server on the same network.
func newRelay(network, at, to string) (*relay, error) {
	l, err := net.Listen(network, at)
	if err != nil {
		return nil, err
	}
	r := &relay{Listener: l, network: network, to: to, opened: map[net.Conn]bool{}}
	go r.serve()
	return r, nil
}

func (r *relay) serve() {
	for {
		c, err := r.Accept()
		if err != nil {
			return // it is closed
		}
		go r.pass(c)
	}
}

// pass carries both directions of a connection until both have ended.
func (r *relay) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial(r.network, r.to)
	if err != nil {
		return // the client sees the end
	}
	defer server.Close()
	requests := &bytes.Buffer{}
	r.mu.Lock()
	r.asked = append(r.asked, requests)
	r.opened[client], r.opened[server] = true, true
	r.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() {
		carry(server, client, func(p []byte) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.first.IsZero() {
				r.first = time.Now()
			}
			requests.Write(p)
		})
	})
	both.Go(func() {
		carry(client, server, func([]byte) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.last = time.Now()
		})
	})
	both.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.opened, client)
	delete(r.opened, server)
}

// carry copies until the source ends, and then ends the destination. It shows note what it has read
// before it passes it on.
func carry(to, from net.Conn, note func([]byte)) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			note(buffer[:n])
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may have gone
	}
}

// reset forgets what has passed.
func (r *relay) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.first, r.last, r.asked = time.Time{}, time.Time{}, nil
}

// times returns when the first byte passed to the server and the last one from it.
func (r *relay) times() (first, last time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first, r.last
}

// requests returns the number of requests.
func (r *relay) requests() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.asked {
		n += requestsIn(bytes.NewReader(conn.Bytes()))
	}
	return n
}

func requestsIn(conn io.Reader) (n int64) {
	for in := bufio.NewReader(conn); ; n++ {
		req, err := http.ReadRequest(in)
		if err != nil {
			return n
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return n + 1
		}
	}
}

// end closes the relay and all that it carries.
func (r *relay) end() error {
	err := r.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.opened {
		_ = c.Close() // its end is what is wanted
	}
	return err
}
