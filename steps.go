package pinion

import (
	"bytes"
	"strings"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

// Bounds of what a template's author can make the events hold: a line of output and a step's name
// in bytes, and the number of steps whose events are kept whatever comes.
const (
	maxLine  = 4096
	maxName  = 512
	maxSteps = 1000
)

// steps makes events of BuildKit's progress. It is for one goroutine.
type steps struct {
	emit func(Event)
	of   map[digest.Digest]*stepProgress
	// known counts the steps, and begun those that have a number. A delivery is none.
	known, begun int
}

type stepProgress struct {
	number int
	name   string
	state  StepState
	// partial is the line that has not ended yet.
	partial []byte
}

func newSteps(emit func(Event)) *steps {
	return &steps{emit: emit, of: map[digest.Digest]*stepProgress{}}
}

func (s *steps) tell(status *client.SolveStatus) {
	for _, v := range status.Vertexes {
		if s.of[v.Digest] == nil {
			s.of[v.Digest] = &stepProgress{}
			if v.Name != buildkit.DeliveryVertex {
				s.known++
			}
		}
	}
	for _, l := range status.Logs {
		s.log(l)
	}
	for _, v := range status.Vertexes {
		s.vertex(v)
	}
	for _, st := range status.Statuses {
		if p := s.of[st.Vertex]; p != nil && p.name == buildkit.DeliveryVertex {
			s.emit(Event{Type: EventDelivering, Bytes: st.Current})
		}
	}
}

// vertex tells of a step when its state has changed. BuildKit repeats vertices, and one that was
// done may be started once more.
func (s *steps) vertex(v *client.Vertex) {
	p := s.of[v.Digest]
	p.name = v.Name
	state := stateOf(v)
	if state == "" || state == p.state || v.Name == buildkit.DeliveryVertex {
		return
	}
	p.state = state
	if p.number == 0 {
		s.begun++
		p.number = s.begun
	}
	if state != StepStarted && len(p.partial) > 0 {
		s.line(p, p.partial)
		p.partial = nil
	}
	s.emit(Event{Type: EventStep, Step: &Step{Number: p.number, Total: s.known,
		Name: shortened(p.name), State: state}})
}

func shortened(name string) string {
	if len(name) <= maxName {
		return name
	}
	return strings.ToValidUTF8(name[:maxName], "") + "…"
}

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

// log takes output apart into lines.
func (s *steps) log(l *client.VertexLog) {
	p := s.of[l.Vertex]
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
		s.line(p, p.partial)
		p.partial, rest = nil, more
	}
}

func (s *steps) line(p *stepProgress, text []byte) {
	s.emit(Event{
		Type: EventLog, Text: strings.ToValidUTF8(string(bytes.TrimSuffix(text, []byte("\r"))),
			"�"),
		Step: &Step{Number: p.number, Total: s.known},
	})
}

// progress hands BuildKit's progress on, as it is and as events.
func (j *job) progress() func(*client.SolveStatus) {
	events := newSteps(j.told.emit)
	return func(st *client.SolveStatus) {
		events.tell(st)
		j.o.settings.progress(j.template.Name, st)
	}
}
