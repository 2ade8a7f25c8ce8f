package buildkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/moby/buildkit/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// errUnreadable: the builder has the image and does not hand out its layers one by one.
var errUnreadable = errors.New("the builder's layers cannot be read")

// openFunc streams a layer out of the builder.
type openFunc func(context.Context, ocispecs.Descriptor) (io.ReadCloser, error)

// layersExporter takes the manifest and the config from the builder and leaves the layers there; the sink then
// reads those that it lacks.
type layersExporter struct {
	open    openFunc
	onBytes func(int)
	// subject is what a statement calls the image; empty where there is none.
	subject string
}

func (x layersExporter) begin(ctx context.Context, reference string, sink Sink) (client.ExportEntry, delivery) {
	docs := newDocuments()
	entry := client.ExportEntry{
		Type: client.ExporterOCI,
		// Without force-compression the compression of an earlier export comes back.
		Attrs:       map[string]string{"tar": "false", "compression": "uncompressed", "force-compression": "true"},
		OutputStore: docs,
	}
	if x.subject != "" {
		entry.Attrs["name"] = x.subject
	}
	return entry, func(told map[string]string, solveErr error) (Delivery, error) {
		if solveErr != nil {
			return Delivery{}, solveErr
		}
		image, err := docs.solved(told)
		if err != nil {
			return Delivery{}, err
		}
		var unreadable atomic.Bool // layers are opened side by side
		image.Reference = reference
		image.Open = func(ctx context.Context, layer ocispecs.Descriptor) (io.ReadCloser, error) {
			r, err := x.open(ctx, layer)
			if err != nil && ctx.Err() == nil {
				unreadable.Store(true)
			}
			return r, err
		}
		d, err := sink.Receive(ctx, image, x.onBytes)
		if err != nil && unreadable.Load() {
			err = fmt.Errorf("%w: %w", errUnreadable, err)
			if x.subject != "" {
				err = fmt.Errorf("%w: %w", errNoArchive, err)
			}
		}
		return d, err
	}
}

// solved finds the exported image among the documents.
func (d *documents) solved(told map[string]string) (Solved, error) {
	var image Solved
	root, err := exported(told)
	if err != nil {
		return Solved{}, err
	}
	image.Descriptor = root
	if root.MediaType == ocispecs.MediaTypeImageIndex {
		if image.Descriptor, image.Around, err = d.unindexed(root); err != nil {
			return Solved{}, err
		}
	}
	image.Manifest = d.get(image.Descriptor.Digest)
	var manifest ocispecs.Manifest
	if err := json.Unmarshal(image.Manifest, &manifest); err != nil {
		return Solved{}, fmt.Errorf("the exported image's manifest %s: %w", image.Descriptor.Digest, err)
	}
	if image.Config = d.get(manifest.Config.Digest); image.Config == nil {
		return Solved{}, fmt.Errorf("the builder did not export the config %s", manifest.Config.Digest)
	}
	return image, nil
}
