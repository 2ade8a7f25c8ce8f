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

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

// errUnreadable: the builder has the image, but its parts cannot be read one by one.
var errUnreadable = errors.New("the builder's layers cannot be read")

// openFunc streams a blob out of the builder.
type openFunc func(context.Context, ocispecs.Descriptor) (io.ReadCloser, error)

// layersExporter leaves the image in the builder's content store. The manifest and the config are
// read from there, and the sink reads the layers that it lacks. An export into another content
// store would cost the builder as much again.
type layersExporter struct {
	open    openFunc
	onBytes func(int)
	// subject is the image's name in its attestation; empty if it has none.
	subject string
}

func (x layersExporter) begin(
	ctx context.Context, reference string, sink Sink,
) (client.ExportEntry, delivery) {
	entry := client.ExportEntry{
		Type: client.ExporterImage,
		Attrs: map[string]string{
			// The image is not verified yet, so the builder does not store it under a name.
			string(exptypes.OptKeyStore):    "false",
			string(exptypes.OptKeyOCITypes): "true",
			// Without force-compression BuildKit reuses the compression of an earlier export.
			string(exptypes.OptKeyLayerCompression): "uncompressed",
			string(exptypes.OptKeyForceCompression): "true",
		},
	}
	if x.subject != "" {
		entry.Attrs[string(exptypes.OptKeyName)] = x.subject
	}
	return entry, func(response map[string]string, solveErr error) (Delivery, error) {
		if solveErr != nil {
			return Delivery{}, solveErr
		}
		d, unreadable, err := x.deliver(ctx, reference, response, sink)
		if unreadable {
			err = fmt.Errorf("%w: %w", errUnreadable, err)
			if x.subject != "" {
				err = errdef.In(errdef.AttestationUnreadable, "",
					fmt.Errorf("%w: %w", errNoArchive, err))
			}
		}
		return d, err
	}
}

// deliver passes the image to the sink. unreadable reports whether it failed because the builder
// did not describe the image or did not give out a part of it.
func (x layersExporter) deliver(
	ctx context.Context, reference string, response map[string]string, sink Sink,
) (d Delivery, unreadable bool, err error) {
	root, err := exported(response)
	if err != nil {
		return d, true, err
	}
	var failed atomic.Bool // the sink opens layers concurrently
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
