package buildkit

import (
	"context"
	"io"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// blobs returns a function that opens blobs and watches each until it is closed.
func (w *watchdog) blobs(open openFunc) openFunc {
	return func(ctx context.Context, blob ocispecs.Descriptor) (io.ReadCloser, error) {
		r, err := open(ctx, blob)
		if err != nil {
			return nil, err
		}
		done := w.watch(func() error { return w.stalledDelivery(blob.Digest.String()) })
		return &watchedBlob{r, w, done}, nil
	}
}

type watchedBlob struct {
	io.ReadCloser
	watchdog *watchdog
	done     func()
}

func (w *watchedBlob) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if n > 0 {
		w.watchdog.progress()
	}
	return n, err
}

// WriteTo implements io.WriterTo, so that the blob's own WriteTo is used.
func (w *watchedBlob) WriteTo(to io.Writer) (int64, error) {
	return io.Copy(watchedWriter{to, w.watchdog}, w.ReadCloser)
}

func (w *watchedBlob) Close() error {
	w.done()
	return w.ReadCloser.Close()
}

// watchedWriter reports each write as progress.
type watchedWriter struct {
	io.Writer
	watchdog *watchdog
}

func (w watchedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if n > 0 {
		w.watchdog.progress()
	}
	return n, err
}

// archive returns a reader that watches an archive from its first byte to its end.
func (w *watchdog) archive(r io.Reader) io.Reader { return &watchedArchive{Reader: r, watchdog: w} }

type watchedArchive struct {
	io.Reader
	watchdog *watchdog
	done     func()
}

func (w *watchedArchive) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 && w.done == nil {
		w.done = w.watchdog.watch(func() error { return w.watchdog.stalledDelivery("the image") })
	}
	switch {
	case w.done == nil:
	case err != nil:
		w.done()
	default:
		w.watchdog.progress()
	}
	return n, err
}
