package registry

import (
	"bytes"
	"io"
	"sync"
)

// body is what a request sends: a window, which can be sent again, or a stream.
type body struct {
	window []byte
	stream io.Reader
	size   int64 // of the stream

	// reading counts the readers that net/http has not closed. It may read on for a moment after a
	// request has failed.
	reading sync.WaitGroup
}

// windowOf returns a body with that content.
func windowOf(content []byte) *body { return &body{window: content} }

func (b *body) length() int64 {
	switch {
	case b == nil:
		return 0
	case b.stream != nil:
		return b.size
	}
	return int64(len(b.window))
}

// open returns a reader from the beginning, or of what is left of a stream.
func (b *body) open(moved func(n int)) io.ReadCloser {
	from := b.stream
	if from == nil {
		from = bytes.NewReader(b.window)
	}
	b.reading.Add(1)
	return &reader{Reader: from, moved: moved, closed: sync.OnceFunc(b.reading.Done)}
}

// reader counts what is read of a body.
type reader struct {
	io.Reader
	moved  func(n int)
	closed func()
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.moved(n)
	return n, err
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.closed()
	return nil
}
