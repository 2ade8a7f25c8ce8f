package buildkit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

func TestCheckOf(t *testing.T) {
	at := func(line int32) []*pb.Range {
		return []*pb.Range{{Start: &pb.Position{Line: line}, End: &pb.Position{Line: line}}}
	}
	for _, c := range []struct {
		name string
		w    client.VertexWarning
		want Check
		text string
	}{
		{"a rule", client.VertexWarning{Short: []byte("StageNameCasing: Stage name 'A' (line 3)"),
			Detail: [][]byte{[]byte("Stage names are"), []byte("lowercase")},
			URL:    "https://docs.docker.com/go/x/", SourceInfo: &pb.SourceInfo{Filename: "a/b"},
			Range: at(3)},
			Check{Rule: "StageNameCasing", Text: "Stage name 'A'",
				Detail: "Stage names are lowercase", URL: "https://docs.docker.com/go/x/",
				File: "a/b", Line: 3}, "a/b:3: StageNameCasing: Stage name 'A'"},
		{"another line", client.VertexWarning{Short: []byte("A1: x (line 4)"), Range: at(3)},
			Check{Rule: "A1", Text: "x (line 4)", Line: 3}, "A1: x (line 4)"},
		{"of no rule", client.VertexWarning{Short: []byte("Empty continuation line")},
			Check{Text: "Empty continuation line"}, "Empty continuation line"},
		{"several lines", client.VertexWarning{Short: []byte("one\n#2 DONE\ttwo"),
			SourceInfo: &pb.SourceInfo{Filename: "f\nf"}},
			Check{Text: "one #2 DONE two", File: "f f"}, "f f: one #2 DONE two"},
		{"nothing", client.VertexWarning{}, Check{}, ""},
		{"a range without a place", client.VertexWarning{Range: []*pb.Range{nil}}, Check{}, ""},
	} {
		got := checkOf(&c.w)
		if got != c.want || got.String() != c.text {
			t.Errorf("%s: got %+v, %q", c.name, got, got)
		}
	}
	long := checkOf(&client.VertexWarning{Short: []byte("Rule: " + strings.Repeat("x", 9000)),
		URL: strings.Repeat("u", 9000)})
	if len(long.Text) > maxCheck+len("…") || len(long.URL) > maxCheck+len("…") ||
		long.Rule != "" && long.Rule != "Rule" {
		t.Errorf("%d and %d bytes", len(long.Text), len(long.URL))
	}
}

// TestChecksAreReportedOnce: two attempts find the same, and a template cannot flood its callers.
func TestChecksAreReportedOnce(t *testing.T) {
	var got []Check
	all := newChecks(func(c Check) { got = append(got, c) })
	for range 2 {
		r := statusRelay{observe: func(*client.SolveStatus) {}, checks: all}
		in := make(chan *client.SolveStatus, 200)
		for i := range 200 {
			in <- &client.SolveStatus{Warnings: []*client.VertexWarning{{
				Vertex: digest.FromString("x"),
				Short:  fmt.Appendf(nil, "Rule: number %d of secret\x1b[2J", i)}}}
		}
		close(in)
		r.run(in, redact.New("secret"), nil)
	}
	if len(got) != maxChecks+1 || got[0].Text != `number 0 of ***\x1b[2J` ||
		got[maxChecks] != (Check{Text: "further remarks are left out"}) {
		t.Errorf("%d: %+v", len(got), got)
	}
}
