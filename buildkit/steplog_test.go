package buildkit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

// relay passes statuses through a statusRelay and returns which step failed.
func relay(secret string, statuses ...*client.SolveStatus) failedStep {
	in := make(chan *client.SolveStatus, len(statuses))
	for _, s := range statuses {
		in <- s
	}
	close(in)
	r := statusRelay{observe: func(*client.SolveStatus) {}}
	r.run(in, redact.New(secret), nil)
	return r.failed
}

func output(step, text string) *client.SolveStatus {
	return &client.SolveStatus{Logs: []*client.VertexLog{{Vertex: digest.FromString(step),
		Data: []byte(text)}}}
}

func ended(step, failure string) *client.SolveStatus {
	now := time.Now()
	return &client.SolveStatus{Vertexes: []*client.Vertex{{Digest: digest.FromString(step),
		Name: step, Completed: &now, Error: failure}}}
}

// TestTheLogOfTheFailedStep: the output is that of the step that failed by itself, also what comes
// after its end; a secret in two pieces is masked, and control characters are visible.
func TestTheLogOfTheFailedStep(t *testing.T) {
	got := relay("s3cr3t-token",
		output("RUN good", "fine\n"), output("RUN bad", "compiling\r\nuses s3cr3t-"),
		ended("RUN good", ""), output("RUN other", "slow\n"),
		output("RUN bad", "token\n\n\x1b[31mred"), ended("RUN bad", "exit code: 1"),
		ended("RUN other", "context canceled"), output("RUN bad", " end"))
	want := []string{"compiling", "uses ***", "", `\x1b[31mred end`}
	if got.name != "RUN bad" || !slices.Equal(got.log, want) {
		t.Errorf("failed is %+v, want the log %q", got, want)
	}
	if got := relay("", ended("RUN bad", "x"), output("RUN good", "y\n")); got.log != nil {
		t.Errorf("a silent step has the log %q", got.log)
	}
}

func TestTheLogOfAFailedStepIsBounded(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	got := relay("", output("a", text.String()), ended("a", "x")).log
	if len(got) != maxLogLines || got[0] != "line 960" || got[maxLogLines-1] != "line 999" {
		t.Errorf("%d lines, from %q to %q", len(got), got[0], got[len(got)-1])
	}
	long := strings.Repeat("ü", maxLine) + "\n"
	got = relay("", output("a", strings.Repeat(long, 10)), ended("a", "x")).log
	size := 0
	for _, line := range got {
		size += len(line)
	}
	if len(got) < 3 || size > maxLogBytes || !strings.HasSuffix(got[0], "ü…") {
		t.Errorf("%d lines with %d bytes, the first ends in %q", len(got), size,
			got[0][len(got[0])-10:])
	}
	// Control characters grow when they become visible.
	got = relay("", output("a", strings.Repeat("\x1b", 3*maxLine)), ended("a", "x")).log
	if len(got) != 1 || len(got[0]) > maxLine+len("…") {
		t.Errorf("%d lines, the first with %d bytes", len(got), len(got[0]))
	}
}
