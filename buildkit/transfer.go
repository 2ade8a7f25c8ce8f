package buildkit

import (
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

// reportEvery is the shortest time between two reports of bytes.
const reportEvery = 100 * time.Millisecond

// deliveryVertex is the name of the vertex that shows a delivery through this process.
const deliveryVertex = "deliver into the image store"

// isDelivery reports whether a vertex is a delivery and not a step.
func isDelivery(v *client.Vertex) bool { return v.Name == deliveryVertex }

// transfer shows a delivery through this process as one more vertex of the build. BuildKit reports
// nothing at that time, and the delivery of several GB takes a while.
type transfer struct {
	vertex   client.Vertex
	bytes    int64
	reported time.Time
}

// delivering runs deliver between the vertex's start and end. The vertex is reported only if bytes
// are sent.
func (s *solve) delivering(
	deliver delivery, response map[string]string, solveErr error,
) (Delivery, error) {
	now := time.Now()
	s.transfer = transfer{vertex: client.Vertex{
		Digest: digest.FromString("deliver " + s.req.Reference), Name: deliveryVertex,
		Started: &now,
	}}
	d, err := deliver(response, solveErr)
	if s.transfer.bytes > 0 {
		end := time.Now()
		s.transfer.vertex.Completed = &end
		if err != nil {
			s.transfer.vertex.Error = "not delivered"
		}
		s.reportTransfer(end)
	}
	return d, err
}

func (s *solve) reportBytes(n int) {
	s.transfer.bytes += int64(n)
	if now := time.Now(); now.Sub(s.transfer.reported) >= reportEvery {
		s.reportTransfer(now)
	}
}

func (s *solve) reportTransfer(now time.Time) {
	s.transfer.reported = now
	if s.req.Progress == nil {
		return
	}
	v := s.transfer.vertex
	s.req.Progress(&client.SolveStatus{
		Vertexes: []*client.Vertex{&v},
		Statuses: []*client.VertexStatus{{
			ID: "sending layers", Vertex: v.Digest, Current: s.transfer.bytes,
			Timestamp: now, Started: v.Started, Completed: v.Completed,
		}},
	})
}
