package parts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Request is what a Proxy remembers of one request.
type Request struct {
	Method, Path, Query string
	Authorization       string // the header, as it was sent
}

// Hook sees a request before it is passed on. It returns true if it has answered it itself.
type Hook func(w http.ResponseWriter, r *http.Request) bool

// Proxy stands before a server, counts requests and fails on demand. Connection upgrades
// and streams pass through.
type Proxy struct {
	server   *http.Server
	url      string
	cleanup  string // folder of the socket
	mu       sync.Mutex
	requests []Request // guarded by mu
	hook     Hook      // guarded by mu
	bytes    atomic.Int64
}

// NewProxy serves on a port of 127.0.0.1 what the server at target, a URL, answers.
func NewProxy(target string) (*Proxy, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p := &Proxy{url: "http://" + listener.Addr().String()}
	p.serve(listener, to, http.DefaultTransport.(*http.Transport).Clone())
	return p, nil
}

// NewSocketProxy serves on a unix socket of its own what the server behind target, a socket's path,
// answers over HTTP/1.
func NewSocketProxy(target string) (*Proxy, error) {
	dir, err := socketDir()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "p.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a proxy: %w", err), os.RemoveAll(dir))
	}
	p := &Proxy{url: "unix://" + socket, cleanup: dir}
	p.serve(listener, &url.URL{Scheme: "http", Host: "docker"}, unixTransport(target))
	return p, nil
}

func (p *Proxy) serve(listener net.Listener, to *url.URL, transport *http.Transport) {
	forward := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	p.server = &http.Server{Handler: p.watch(forward), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.server.Serve(listener) }()
}

func (p *Proxy) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, Request{
			Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
			Authorization: r.Header.Get("Authorization"),
		})
		hook := p.hook
		p.mu.Unlock()
		w = counted{w, &p.bytes}
		if hook == nil || !hook(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// URL is the proxy's address: "http://127.0.0.1:<port>", or "unix://" and the path of its socket.
func (p *Proxy) URL() string { return p.url }

// Requests returns what was asked since the start or the last Reset, in the order of arrival.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Count returns how many of the requests have a path that contains part.
func (p *Proxy) Count(part string) int {
	n := 0
	for _, r := range p.Requests() {
		if strings.Contains(r.Path, part) {
			n++
		}
	}
	return n
}

// Reset forgets the requests and the bytes so far.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
	p.bytes.Store(0)
}

// SetHook replaces the hook; nil takes it away. Requests that are being answered keep the one they
// began with.
func (p *Proxy) SetHook(h Hook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = h
}

// Close ends the proxy and the connections through it. It may be called again.
func (p *Proxy) Close() error {
	err := p.server.Close()
	if p.cleanup != "" {
		err = errors.Join(err, os.RemoveAll(p.cleanup))
	}
	return err
}

// FailPath answers requests whose path contains part with a status and a body.
func FailPath(part string, status int, body string) Hook {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

// DelayPath holds requests whose path contains part back for a time, or until the client goes away.
func DelayPath(part string, delay time.Duration) Hook {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			return false
		case <-r.Context().Done():
			return true
		}
	}
}

// GatePath holds requests whose path contains part back until release is called. arrived gets a
// value for each of them.
func GatePath(part string) (hook Hook, arrived <-chan struct{}, release func()) {
	came, open := make(chan struct{}, 64), make(chan struct{})
	hook = func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		came <- struct{}{}
		select {
		case <-open:
			return false
		case <-r.Context().Done():
			return true
		}
	}
	return hook, came, sync.OnceFunc(func() { close(open) })
}

// unixTransport speaks HTTP over a unix socket for any host in the URL.
func unixTransport(socket string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
}
