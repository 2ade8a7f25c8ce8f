package buildkit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
	bkclient "github.com/moby/buildkit/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestHeldUntilDelivered: during a delivery others prune the builder, remove its history and run
// its garbage collector. Every part of the image can still be read, also the provenance, which no
// record of the history keeps.
func TestHeldUntilDelivered(t *testing.T) {
	for _, name := range []string{"buildkitd", string(parts.Docker29Containerd)} {
		t.Run(name, func(t *testing.T) {
			b := ownBench(t, name)
			mustSolve(t, b, b.busybox(t, "earlier", nil)) // a record to remove
			through, err := b.connect(t.Context(), buildkit.ThroughSink())
			if err != nil {
				t.Fatal(err)
			}
			defer through.Close()
			sink := &collecting{client: through.Client()}
			for _, event := range partstest.BuildHistory(t, sink.client) {
				sink.refs = append(sink.refs, event.Record.Ref)
			}
			if len(sink.refs) == 0 {
				t.Fatal("without a record to remove, no garbage is collected")
			}
			req := b.busybox(t, "held", []string{"RUN echo held > /word"})
			req.Name, req.Provenance = "held", buildkit.ProvenanceMax
			res, err := through.Solve(t.Context(), req, sink)
			if err != nil {
				t.Fatal(err)
			}
			// The index, the image and its config, and the attestation with a statement.
			if sink.receptions != 1 || sink.documents != 6 || res.Delivery.LayersSent == 0 {
				t.Errorf("%d receptions, %d documents, %+v", sink.receptions, sink.documents,
					res.Delivery)
			}
		})
	}
}

// collecting is a sink that removes from the builder what others may remove, before it reads all
// parts of the image.
type collecting struct {
	discard
	client *bkclient.Client
	refs   []string // in the builder's history

	receptions, documents int
}

func (c *collecting) Receive(
	ctx context.Context, image buildkit.Solved, onBytes func(int),
) (buildkit.Delivery, error) {
	c.receptions++
	if err := c.collect(ctx); err != nil {
		return buildkit.Delivery{}, err
	}
	var manifest ocispecs.Manifest
	if err := json.Unmarshal(image.Manifest, &manifest); err != nil {
		return buildkit.Delivery{}, err
	}
	whole, config := image.Descriptor, manifest.Config
	whole.Data, config.Data = image.Manifest, image.Config
	for _, d := range append([]ocispecs.Descriptor{whole, config}, image.Around...) {
		blob, err := image.Open(ctx, d)
		if err != nil {
			return buildkit.Delivery{}, fmt.Errorf("%s: %w", d.MediaType, err)
		}
		body, err := io.ReadAll(blob)
		blob.Close()
		if err != nil || !bytes.Equal(body, d.Data) {
			return buildkit.Delivery{}, fmt.Errorf("%s: %d bytes: %w", d.MediaType, len(body), err)
		}
		c.documents++
	}
	return c.discard.Receive(ctx, image, onBytes)
}

// collect returns after the garbage collection, which follows the removal of each record.
func (c *collecting) collect(ctx context.Context) error {
	if err := c.client.Prune(ctx, nil, bkclient.PruneAll); err != nil {
		return err
	}
	for _, ref := range c.refs {
		if _, err := c.client.ControlClient().UpdateBuildHistory(ctx,
			&controlapi.UpdateBuildHistoryRequest{Ref: ref, Delete: true}); err != nil {
			return err
		}
	}
	c.refs = nil
	return nil
}
