package imagestore

import (
	"context"
	"errors"
	"io"
	"sync"
)

// source hands a reader to an HTTP request. net/http waits for a Read of the
// body that is under way even when the request is cancelled, and reports a
// failing body and a failing connection alike. So the request gets one end of
// a pipe, which is closed when ctx ends, and the reader's own failure is
// remembered.
type source struct {
	body *io.PipeReader
	stop func() bool // the watch on ctx
	r    io.Reader

	mu     sync.Mutex
	failed error
}

func newSource(ctx context.Context, r io.Reader) *source {
	body, feed := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = body.CloseWithError(ctx.Err()) })
	s := &source{body: body, stop: stop, r: r}
	go func() {
		_, err := io.Copy(feed, s)
		_ = feed.CloseWithError(err) // never fails; nil is the end of the file
	}()
	return s
}

// Read is called by the copying goroutine alone.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed = err
	}
	return n, err
}

// end stops the copying, after a Read that may be under way, and returns the
// reader's error if there was one by then.
func (s *source) end() error {
	s.stop()
	_ = s.body.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}
