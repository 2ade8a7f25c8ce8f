package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// gate is a web server that an ADD in a Dockerfile asks: while it is shut, it holds the build in
// the middle of its solve.
type gate struct {
	url     string
	server  *http.Server
	arrived chan struct{} // has a value once a request has arrived

	mu     sync.Mutex
	opened chan struct{} // closed while the gate is open
}

func newGate() (*gate, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{url: "http://" + l.Addr().String() + "/gate", arrived: make(chan struct{}, 1),
		opened: make(chan struct{})}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = g.server.Serve(l) }() // it ends with the race
	return g, nil
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	select {
	case g.arrived <- struct{}{}:
	default:
	}
	select {
	case <-opened:
		_, _ = w.Write([]byte("open\n")) // the builder may have gone
	case <-r.Context().Done():
	}
}

// shut holds who comes from now on.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = make(chan struct{})
	select {
	case <-g.arrived:
	default:
	}
}

// open lets all requests through. It may be called again.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.opened:
	default:
		close(g.opened)
	}
}

func (g *gate) arrival(ctx context.Context) error {
	select {
	case <-g.arrived:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) end() error {
	g.open()
	return g.server.Close()
}
