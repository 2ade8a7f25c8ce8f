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

// Solved is an image in the content store of a builder outside the image store. Its layers are
// uncompressed and can be read one by one.
type Solved struct {
	// Reference names the image inside the store until the caller has verified it.
	Reference string
	// Manifest and Config are the documents themselves; Descriptor is the manifest's.
	Descriptor       ocispecs.Descriptor
	Manifest, Config []byte
	// Around has the documents of the image's attestations, with their content in Data; it is empty
	// if there are none. Each document follows those that it refers to. The last is the index of
	// the image and the attestations, whose digest identifies the image then.
	Around []ocispecs.Descriptor
	// Open streams a layer. It fails if the builder has no content API (before BuildKit 0.12) or
	// has pruned the layer, which it does not do during a delivery from BuildKit 0.32 on. It is
	// safe for concurrent use.
	Open func(ctx context.Context, layer ocispecs.Descriptor) (io.ReadCloser, error)
}

// Sink receives such an image.
type Sink interface {
	// Receive stores the image and reads only the layers that the store lacks. It calls onBytes
	// with the number of bytes that it sent on, one call at a time.
	Receive(ctx context.Context, image Solved, onBytes func(n int)) (Delivery, error)
	// Load stores an image from a docker archive (the format of `docker save`) with all layers. It
	// reads to the end or returns an error. It serves builders whose layers cannot be read.
	Load(ctx context.Context, archive io.Reader) error
}

// openBlob returns a function that streams a blob from the builder's content store.
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
		// The first message shows whether the blob exists, while the caller can still choose
		// another way.
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

// WriteTo writes each message whole. Messages are larger than the buffer of io.Copy.
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
