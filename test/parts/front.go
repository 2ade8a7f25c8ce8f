package parts

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Front stands before a registry, takes it away for a time, and counts the blobs that were sent
// whole.
type Front struct {
	host    string
	forward *httputil.ReverseProxy

	mu     sync.Mutex
	server *http.Server // guarded by mu, as all that follows
	status int
	until  time.Time
	cut    string // the digest of the blob to break off, "" for none
	after  int    // how many other blobs are sent whole before that
	then   func() // runs when it has broken off
	whole  map[string]int
}

// NewFront serves on a port of 127.0.0.1 what the registry answers.
func NewFront(r *Registry) (*Front, error) {
	to, err := url.Parse(r.URL())
	if err != nil {
		return nil, fmt.Errorf("start a front: %w", err)
	}
	f := &Front{host: "127.0.0.1:0", whole: map[string]int{}, forward: &httputil.ReverseProxy{
		FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}}
	return f, f.listen()
}

func (f *Front) listen() error {
	listener, err := net.Listen("tcp4", f.host)
	if err != nil {
		return fmt.Errorf("start a front: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.host = listener.Addr().String()
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	go func(s *http.Server) { _ = s.Serve(listener) }(f.server)
	return nil
}

// Host is the front's address, as it stands in an image's name.
func (f *Front) Host() string { return f.host }

// Down takes the registry away for a time. Requests are answered with the status, 429 with a
// Retry-After; status 0 refuses connections.
func (f *Front) Down(status int, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status, f.until = status, time.Now().Add(d)
	if status == 0 {
		_ = f.server.Close()
		time.AfterFunc(d, func() { _ = f.listen() })
	}
}

// BreakOff ends the next answer with that blob in the middle, after a number of other blobs have
// been sent whole, and calls then.
func (f *Front) BreakOff(digest string, after int, then func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut, f.after, f.then = digest, after, then
}

// Whole returns how often each blob was sent whole, by digest.
func (f *Front) Whole() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := map[string]int{}
	for digest, n := range f.whole {
		counts[digest] = n
	}
	return counts
}

// Close ends the front. It may be called again.
func (f *Front) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.server.Close()
}

func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	status, rest := f.status, time.Until(f.until)
	f.mu.Unlock()
	if rest > 0 {
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", strconv.Itoa(int(rest.Seconds())+1))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNAVAILABLE","message":"not now"}]}`)
		return
	}
	if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/sha256:") {
		f.forward.ServeHTTP(w, r)
		return
	}
	f.blob(w, r, path.Base(r.URL.Path))
}

// blob passes a blob on, or breaks it off.
func (f *Front) blob(w http.ResponseWriter, r *http.Request, digest string) {
	out := &blobWriter{ResponseWriter: w}
	if f.breaks(digest) {
		for n := 0; n < 200 && f.others(digest) < f.after; n++ {
			time.Sleep(10 * time.Millisecond)
		}
		out.half = true
	}
	defer func() { f.sent(digest, out) }() // an answer that breaks off ends in a panic
	f.forward.ServeHTTP(out, r)
}

// sent notes how an answer with a blob has ended.
func (f *Front) sent(digest string, out *blobWriter) {
	if out.half {
		f.then()
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if out.status == http.StatusOK && out.sent == out.size {
		f.whole[digest]++
	}
}

// breaks reports whether this answer is the one to break off.
func (f *Front) breaks(digest string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut != digest {
		return false
	}
	f.cut = ""
	return true
}

// others counts the other blobs that were sent whole.
func (f *Front) others(digest string) (n int) {
	for other := range f.Whole() {
		if other != digest {
			n++
		}
	}
	return n
}

// blobWriter counts the bytes of an answer, and passes on half of them if told to.
type blobWriter struct {
	http.ResponseWriter
	half       bool
	status     int
	size, sent int64
}

func (b *blobWriter) WriteHeader(status int) {
	b.status = status
	b.size, _ = strconv.ParseInt(b.Header().Get("Content-Length"), 10, 64)
	b.ResponseWriter.WriteHeader(status)
}

func (b *blobWriter) Write(p []byte) (int, error) {
	if rest := b.size/2 - b.sent; b.half && int64(len(p)) > rest {
		_, _ = b.ResponseWriter.Write(p[:rest])
		b.sent += rest
		return int(rest), io.ErrShortWrite
	}
	n, err := b.ResponseWriter.Write(p)
	b.sent += int64(n)
	return n, err
}

func (b *blobWriter) Unwrap() http.ResponseWriter { return b.ResponseWriter }
