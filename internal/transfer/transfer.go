// Package transfer shows bytes on their way to an image store or a registry as one more vertex
// beside those of a build.
package transfer

import (
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
)

// reportEvery is the shortest time between two reports of bytes.
const reportEvery = 100 * time.Millisecond

// Transfer is one vertex. Nothing is reported until bytes have moved. It is not safe for concurrent
// use.
type Transfer struct {
	vertex   client.Vertex
	status   string
	report   func(*client.SolveStatus)
	bytes    int64
	reported time.Time
}

// New begins a transfer with that name. The key tells it from others; status is what the bytes do.
func New(name, key, status string, report func(*client.SolveStatus)) *Transfer {
	now := time.Now()
	return &Transfer{status: status, report: report, vertex: client.Vertex{
		Digest: digest.FromString(key), Name: name, Started: &now}}
}

// Add counts n more bytes.
func (t *Transfer) Add(n int64) {
	t.bytes += n
	if now := time.Now(); now.Sub(t.reported) >= reportEvery {
		t.send(now)
	}
}

// Bytes returns how many bytes have moved so far.
func (t *Transfer) Bytes() int64 { return t.bytes }

// End reports the end, with what went wrong or "".
func (t *Transfer) End(failure string) {
	if t.bytes == 0 {
		return
	}
	now := time.Now()
	t.vertex.Completed, t.vertex.Error = &now, failure
	t.send(now)
}

func (t *Transfer) send(now time.Time) {
	t.reported = now
	if t.report == nil {
		return
	}
	v := t.vertex
	t.report(&client.SolveStatus{
		Vertexes: []*client.Vertex{&v},
		Statuses: []*client.VertexStatus{{
			ID: t.status, Vertex: v.Digest, Current: t.bytes,
			Timestamp: now, Started: v.Started, Completed: v.Completed,
		}},
	})
}
