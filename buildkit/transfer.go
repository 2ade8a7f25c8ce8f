package buildkit

import (
	"context"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/span"
	"git.moleculesai.app/molecule-ai/pinion/internal/transfer"
)

// deliveryVertex is the name of the vertex that shows a delivery through this process.
const deliveryVertex = "deliver into the image store"

// isDelivery reports whether a vertex is a delivery and not a step.
func isDelivery(v *client.Vertex) bool { return v.Name == deliveryVertex }

// delivering returns a delivery that runs deliver between a vertex's start and end. BuildKit
// reports nothing at that time, and the delivery of several GB takes a while. The vertex is
// reported only if bytes are sent.
func (s *solve) delivering(ctx context.Context, deliver delivery) delivery {
	return func(response map[string]string, solveErr error) (Delivery, error) {
		var sent span.Span
		if !s.solved.IsZero() {
			_, sent = span.Start(ctx, spanDeliver)
		}
		s.transfer = transfer.New(deliveryVertex, "deliver "+s.req.Reference, "sending layers",
			s.req.Progress)
		d, err := deliver(response, solveErr)
		sent.Text("pinion.delivery.method", string(d.Method))
		sent.Text("pinion.delivery.via", string(d.Via))
		sent.Number("pinion.delivery.bytes", d.Bytes)
		sent.End(err)
		if err != nil {
			s.transfer.End("not delivered")
		} else {
			s.transfer.End("")
		}
		return d, err
	}
}

func (s *solve) reportBytes(n int) { s.transfer.Add(int64(n)) }
