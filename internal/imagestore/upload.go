package imagestore

import (
	"context"
	"errors"
	"io"
	"sync"
)

// Upload reads an archive for a store. net/http waits for a Read of a request's body even after the
// request is cancelled, and reports a failing body and a failing connection alike. So the store
// reads Body, one end of a pipe, which is closed when ctx ends. The archive's own failure is kept.
type Upload struct {
	Body *io.PipeReader

	archive io.Reader
	stop    func() bool // stops watching ctx

	mu     sync.Mutex
	failed error
}

// NewUpload starts to read the archive. The caller ends it with End.
func NewUpload(ctx context.Context, archive io.Reader) *Upload {
	body, feed := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = body.CloseWithError(ctx.Err()) })
	u := &Upload{Body: body, archive: archive, stop: stop}
	go func() {
		_, err := io.Copy(feed, recorder{u})
		_ = feed.CloseWithError(err) // never fails; nil is the end of the file
	}()
	return u
}

// End stops the copying, after a Read that may be under way, and returns the archive's error if
// there was one by then.
func (u *Upload) End() error {
	u.stop()
	_ = u.Body.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed
}

// recorder reads an upload's archive and keeps its error.
type recorder struct{ *Upload }

// Read implements io.Reader. Only the copying goroutine calls it.
func (r recorder) Read(p []byte) (int, error) {
	n, err := r.archive.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.failed = err
	}
	return n, err
}
