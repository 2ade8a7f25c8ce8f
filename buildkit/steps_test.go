package buildkit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

// TestSteps: states that change, lines, and bytes; repeated states are dropped.
func TestSteps(t *testing.T) {
	var got []string
	s := NewSteps(func(p Progress) {
		switch p.Kind {
		case ProgressStep:
			got = append(got, fmt.Sprintf("%d/%d %s %s",
				p.Step.Number, p.Step.Total, p.Step.Name, p.Step.State))
		case ProgressLine:
			got = append(got, fmt.Sprintf("%d: %s", p.Step.Number, p.Line))
		case ProgressDelivery:
			got = append(got, fmt.Sprintf("%d bytes", p.Bytes))
		}
	})
	now := time.Now()
	vertex := func(name string) *client.Vertex {
		return &client.Vertex{Digest: digest.FromString(name), Name: name}
	}
	load, run, deliver := vertex("load"), vertex("[2/2] RUN make"), vertex(deliveryVertex)
	update := func(vs ...*client.Vertex) { s.Update(&client.SolveStatus{Vertexes: vs}) }
	update(load, run)
	load.Cached = true
	update(load)
	update(load)
	run.Started = &now
	update(run)
	output := func(text string) {
		s.Update(&client.SolveStatus{Logs: []*client.VertexLog{{Vertex: run.Digest,
			Data: []byte(text)}}})
	}
	output("one\r\ntw")
	output("o\nthree")
	output(strings.Repeat("x", 3*maxLine))
	run.Completed = &now
	update(run)
	deliver.Started = &now
	s.Update(&client.SolveStatus{Vertexes: []*client.Vertex{deliver},
		Statuses: []*client.VertexStatus{{Vertex: deliver.Digest, Current: 7}}})
	want := []string{
		"1/2 load cached", "2/2 [2/2] RUN make started", "2: one", "2: two",
		"2: three" + strings.Repeat("x", maxLine-len("three")), "2/2 [2/2] RUN make done",
		"7 bytes",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
