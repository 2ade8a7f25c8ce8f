package buildkit

import (
	"bytes"
	"strings"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

// Limits in bytes on a line of output and on a step's name. A template's author decides on both.
const (
	maxLine     = 4096
	maxStepName = 512
)

// StepState is how far a step is.
type StepState string

// The states of a step. A cached step never starts.
const (
	StepStarted StepState = "started"
	StepCached  StepState = "cached"
	StepDone    StepState = "done"
	StepFailed  StepState = "failed"
)

// Step is a vertex of BuildKit's build graph.
type Step struct {
	// Number counts the steps from 1 in the order in which they began. Total is the number of steps
	// that BuildKit has reported so far.
	Number int `json:"number"`
	Total  int `json:"total"`
	// Name is the name that BuildKit shows, for example "[2/3] RUN make". A name over 512 bytes is
	// cut. Name and State are empty in a line of output.
	Name  string    `json:"name,omitempty"`
	State StepState `json:"state,omitempty"`
}

// ProgressKind says which fields of a [Progress] are set.
type ProgressKind int

// The kinds of progress.
const (
	// ProgressStep: the state of Step changed.
	ProgressStep ProgressKind = iota + 1
	// ProgressLine: Step printed the line Line.
	ProgressLine
	// ProgressDelivery: this process has sent Bytes to the image store.
	ProgressDelivery
)

// Progress is one change in a running build.
type Progress struct {
	Kind ProgressKind
	Step Step
	// Line is valid UTF-8 without its line break. A line over 4096 bytes is cut.
	Line  string
	Bytes int64
}

// Steps derives [Progress] from the statuses that [Request.Progress] receives. It drops what
// BuildKit repeats. It is not safe for concurrent use.
type Steps struct {
	report   func(Progress)
	vertices map[digest.Digest]*vertexProgress
	// total counts the vertices and numbered those that have a number, without the delivery.
	total, numbered int
}

type vertexProgress struct {
	number   int
	state    StepState
	delivery bool
	// partial is the line that has not ended yet.
	partial []byte
}

// NewSteps returns Steps that pass each change to report.
func NewSteps(report func(Progress)) *Steps {
	return &Steps{report: report, vertices: map[digest.Digest]*vertexProgress{}}
}

// Update reports what the status changes.
func (s *Steps) Update(status *client.SolveStatus) {
	for _, v := range status.Vertexes {
		s.register(v)
	}
	for _, l := range status.Logs {
		s.output(l)
	}
	for _, v := range status.Vertexes {
		s.change(v)
	}
	for _, st := range status.Statuses {
		if p := s.vertices[st.Vertex]; p != nil && p.delivery {
			s.report(Progress{Kind: ProgressDelivery, Bytes: st.Current})
		}
	}
}

func (s *Steps) register(v *client.Vertex) {
	if s.vertices[v.Digest] != nil {
		return
	}
	p := &vertexProgress{delivery: isDelivery(v)}
	s.vertices[v.Digest] = p
	if !p.delivery {
		s.total++
	}
}

// change reports a step whose state differs from the last one. BuildKit repeats vertices, and can
// start a completed one again.
func (s *Steps) change(v *client.Vertex) {
	p := s.vertices[v.Digest]
	state := stateOf(v)
	if state == "" || state == p.state || p.delivery {
		return
	}
	p.state = state
	if p.number == 0 {
		s.numbered++
		p.number = s.numbered
	}
	if state != StepStarted && len(p.partial) > 0 {
		s.line(p)
	}
	s.report(Progress{Kind: ProgressStep, Step: Step{Number: p.number, Total: s.total,
		Name: shortened(v.Name), State: state}})
}

func shortened(name string) string { return cut(name, maxStepName) }

// cut returns s, or its first bytes and an ellipsis if it has more.
func cut(s string, bytes int) string {
	if len(s) <= bytes {
		return s
	}
	return strings.ToValidUTF8(s[:bytes], "") + "…"
}

// stateOf returns "" for a vertex that has not started.
func stateOf(v *client.Vertex) StepState {
	switch {
	case v.Error != "":
		return StepFailed
	case v.Cached:
		return StepCached
	case v.Completed != nil:
		return StepDone
	case v.Started != nil:
		return StepStarted
	}
	return ""
}

// output splits output into lines.
func (s *Steps) output(l *client.VertexLog) {
	p := s.vertices[l.Vertex]
	if p == nil {
		return
	}
	rest := l.Data
	for {
		line, more, ended := bytes.Cut(rest, []byte("\n"))
		if room := maxLine - len(p.partial); room > 0 {
			p.partial = append(p.partial, line[:min(len(line), room)]...)
		}
		if !ended {
			return
		}
		s.line(p)
		rest = more
	}
}

// line reports the line in p.partial.
func (s *Steps) line(p *vertexProgress) {
	text := strings.ToValidUTF8(string(bytes.TrimSuffix(p.partial, []byte("\r"))), "\uFFFD")
	p.partial = nil
	s.report(Progress{Kind: ProgressLine, Line: text,
		Step: Step{Number: p.number, Total: s.total}})
}
