package buildkit

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

// TestOutputThatIsCut: wherever BuildKit cuts the output, it comes out as it was printed.
func TestOutputThatIsCut(t *testing.T) {
	now := time.Now()
	step := digest.FromString("step")
	for printed, want := range map[string]string{
		"ä€𝄞 done\n":   "ä€𝄞 done\n",
		"one\r\ntwo\n": "one\ntwo\n",
		"bad \xc3":     `bad \xc3`,
		"bad \xe2\x82": `bad \xe2\x82`,
		"bad \xc3(\n":  `bad \xc3(` + "\n",
	} {
		for size := 1; size <= len(printed); size++ {
			var got strings.Builder
			relay := statusRelay{observe: func(*client.SolveStatus) {}, checks: newChecks(nil)}
			in := make(chan *client.SolveStatus, len(printed)+1)
			for rest := printed; rest != ""; {
				n := min(size, len(rest))
				in <- &client.SolveStatus{Logs: []*client.VertexLog{{Vertex: step,
					Data: []byte(rest[:n])}}}
				rest = rest[n:]
			}
			in <- &client.SolveStatus{Vertexes: []*client.Vertex{{Digest: step, Completed: &now}}}
			close(in)
			relay.run(in, redact.New(), func(s *client.SolveStatus) {
				for _, l := range s.Logs {
					got.Write(l.Data)
				}
			})
			if got.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", printed, size, got.String(), want)
			}
		}
	}
}
