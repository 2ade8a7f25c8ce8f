package buildkit

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxDocument bounds a manifest or a config, in bytes.
const maxDocument = 4 << 20

// documents is a content store that BuildKit exports an image into. It says of every layer that it has it
// already, and so is told the manifest and the config at the price of a few kilobytes.
type documents struct {
	mu    sync.Mutex
	blobs map[digest.Digest][]byte
}

func newDocuments() *documents { return &documents{blobs: map[digest.Digest][]byte{}} }

func (d *documents) get(dg digest.Digest) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.blobs[dg]
}

// Writer implements content.Ingester. The kind of a blob stands in its ref (remotes.MakeRefKey in containerd).
func (d *documents) Writer(_ context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	var o content.WriterOpts
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(o.Ref, "layer-") {
		return nil, fmt.Errorf("%s: %w", o.Desc.Digest, errdefs.ErrAlreadyExists)
	}
	if o.Desc.Size > maxDocument {
		return nil, fmt.Errorf("%s has %d bytes: %w", o.Ref, o.Desc.Size, errdefs.ErrInvalidArgument)
	}
	return &document{store: d, ref: o.Ref, desc: o.Desc, started: time.Now()}, nil
}

// The rest of content.Store: nothing is there to be read, listed or resumed.

// Info implements content.InfoProvider.
func (d *documents) Info(context.Context, digest.Digest) (content.Info, error) {
	return content.Info{}, errdefs.ErrNotFound
}

// Status implements content.IngestManager.
func (d *documents) Status(context.Context, string) (content.Status, error) {
	return content.Status{}, errdefs.ErrNotFound
}

// Abort implements content.IngestManager.
func (d *documents) Abort(context.Context, string) error { return nil }

// ListStatuses implements content.IngestManager.
func (d *documents) ListStatuses(context.Context, ...string) ([]content.Status, error) {
	return nil, errdefs.ErrNotImplemented
}

// Update implements content.Manager.
func (d *documents) Update(context.Context, content.Info, ...string) (content.Info, error) {
	return content.Info{}, errdefs.ErrNotImplemented
}

// Walk implements content.Manager.
func (d *documents) Walk(context.Context, content.WalkFunc, ...string) error {
	return errdefs.ErrNotImplemented
}

// Delete implements content.Manager.
func (d *documents) Delete(context.Context, digest.Digest) error { return errdefs.ErrNotImplemented }

// ReaderAt implements content.Provider.
func (d *documents) ReaderAt(context.Context, ocispecs.Descriptor) (content.ReaderAt, error) {
	return nil, errdefs.ErrNotFound
}

// document is one blob on its way in.
type document struct {
	store   *documents
	ref     string
	desc    ocispecs.Descriptor
	buf     bytes.Buffer
	started time.Time
}

// Write implements io.Writer.
func (w *document) Write(p []byte) (int, error) {
	if w.buf.Len()+len(p) > maxDocument {
		return 0, fmt.Errorf("%s has more than %d bytes: %w", w.ref, maxDocument, errdefs.ErrInvalidArgument)
	}
	return w.buf.Write(p)
}

// Close implements io.Closer.
func (w *document) Close() error { return nil }

// Digest implements content.Writer.
func (w *document) Digest() digest.Digest { return digest.FromBytes(w.buf.Bytes()) }

// Commit implements content.Writer.
func (w *document) Commit(_ context.Context, _ int64, expected digest.Digest, _ ...content.Opt) error {
	got := w.Digest()
	if expected != "" && got != expected {
		return fmt.Errorf("%s arrived as %s: %w", expected, got, errdefs.ErrInvalidArgument)
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.blobs[got] = bytes.Clone(w.buf.Bytes())
	return nil
}

// Status implements content.Writer.
func (w *document) Status() (content.Status, error) {
	return content.Status{Ref: w.ref, Offset: int64(w.buf.Len()), Total: w.desc.Size, Expected: w.desc.Digest, StartedAt: w.started, UpdatedAt: time.Now()}, nil
}

// Truncate implements content.Writer.
func (w *document) Truncate(size int64) error {
	if size < 0 || size > int64(w.buf.Len()) {
		return errdefs.ErrInvalidArgument
	}
	w.buf.Truncate(int(size))
	return nil
}
