package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// errUnreadable: the builder has the image and does not hand out its parts one by one.
var errUnreadable = errors.New("the builder's layers cannot be read")

// openFunc streams a blob out of the builder.
type openFunc func(context.Context, ocispecs.Descriptor) (io.ReadCloser, error)

// layersExporter has the builder make the image and keep it. The manifest and the config are read
// from there, and the sink reads the layers that it lacks. An export into a store of ours would
// cost the builder as much again.
type layersExporter struct {
	open    openFunc
	onBytes func(int)
	// subject is what a statement calls the image; empty where there is none.
	subject string
}

func (x layersExporter) begin(ctx context.Context, reference string,
	sink Sink) (client.ExportEntry, delivery) {
	entry := client.ExportEntry{
		Type: client.ExporterImage,
		Attrs: map[string]string{
			// Nobody has verified the image, so it gets no name at the builder.
			string(exptypes.OptKeyStore):    "false",
			string(exptypes.OptKeyOCITypes): "true",
			// Without force-compression the compression of an earlier export comes back.
			string(exptypes.OptKeyLayerCompression): "uncompressed",
			string(exptypes.OptKeyForceCompression): "true",
		},
	}
	if x.subject != "" {
		entry.Attrs[string(exptypes.OptKeyName)] = x.subject
	}
	return entry, func(told map[string]string, solveErr error) (Delivery, error) {
		if solveErr != nil {
			return Delivery{}, solveErr
		}
		d, unreadable, err := x.deliver(ctx, reference, told, sink)
		if unreadable {
			err = fmt.Errorf("%w: %w", errUnreadable, err)
			if x.subject != "" {
				err = fmt.Errorf("%w: %w", errNoArchive, err)
			}
		}
		return d, err
	}
}

// deliver also says whether the error came of something that the builder did not tell or hand out.
func (x layersExporter) deliver(ctx context.Context, reference string, told map[string]string,
	sink Sink) (d Delivery, unreadable bool, err error) {
	root, err := exported(told)
	if err != nil {
		return d, true, err
	}
	var failed atomic.Bool // layers are opened side by side
	open := openFunc(func(ctx context.Context, blob ocispecs.Descriptor) (io.ReadCloser, error) {
		r, err := x.open(ctx, blob)
		if err != nil && ctx.Err() == nil {
			failed.Store(true)
		}
		return r, err
	})
	image, err := open.solved(ctx, root)
	if err == nil {
		image.Reference, image.Open = reference, open
		d, err = sink.Receive(ctx, image, x.onBytes)
	}
	return d, err != nil && failed.Load(), err
}
