package buildkit

import (
	"context"
	"errors"
	"io"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/moby/buildkit/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Solved is an image that a builder outside the image store has made. Its layers are still there,
// uncompressed, to be read one by one.
type Solved struct {
	// Reference names the image inside the store until the caller has verified it.
	Reference string
	// Manifest and Config are the documents themselves; Descriptor is the manifest's.
	Descriptor       ocispecs.Descriptor
	Manifest, Config []byte
	// Around is empty for an image alone. Else it is what attestations are made of, and last of all
	// the index of image and attestations, which the image is known by: documents with their
	// content in Data, each behind what it leads to.
	Around []ocispecs.Descriptor
	// Open streams a layer. It fails where the builder has no content API (before BuildKit 0.12) or
	// has pruned the layer in the meantime. It may be called from several goroutines.
	Open func(ctx context.Context, layer ocispecs.Descriptor) (io.ReadCloser, error)
}

// Sink is where such an image goes.
type Sink interface {
	// Receive takes the image, leaving out the layers that the store has. onBytes hears of every
	// byte that is sent on, one call at a time.
	Receive(ctx context.Context, image Solved, onBytes func(n int)) (Delivery, error)
	// Load takes a docker archive (the format of `docker save`) with all layers. It reads to the
	// end or returns an error. It is the way for a builder whose layers cannot be read.
	Load(ctx context.Context, archive io.Reader) error
}

// openBlob reads a blob of the builder's content store in one stream.
func openBlob(c *client.Client) openFunc {
	return func(ctx context.Context, blob ocispecs.Descriptor) (io.ReadCloser, error) {
		ctx, cancel := context.WithCancel(ctx)
		stream, err := c.ContentClient().Read(ctx,
			&contentapi.ReadContentRequest{Digest: blob.Digest.String()})
		if err != nil {
			cancel()
			return nil, errgrpc.ToNative(err)
		}
		r := &blobReader{stream: stream, cancel: cancel}
		// The first message tells whether the blob is there; the caller may still choose another
		// way then.
		if err := r.fill(); err != nil && blob.Size > 0 {
			cancel()
			return nil, err
		}
		return r, nil
	}
}

type blobReader struct {
	stream contentapi.Content_ReadClient
	cancel context.CancelFunc
	rest   []byte
}

func (r *blobReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo passes the messages on as they are, which are larger than a copier's buffer.
func (r *blobReader) WriteTo(w io.Writer) (total int64, err error) {
	for err == nil {
		var n int
		n, err = w.Write(r.rest)
		total += int64(n)
		if err == nil {
			err = r.fill()
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return total, err
}

func (r *blobReader) fill() error {
	resp, err := r.stream.Recv()
	if err == io.EOF { //nolint:errorlint // gRPC returns io.EOF itself
		return io.EOF
	}
	if err != nil {
		return errgrpc.ToNative(err)
	}
	r.rest = resp.Data
	return nil
}

func (r *blobReader) Close() error {
	r.cancel()
	return nil
}
