package buildkit

import (
	"context"
	"strings"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

// statusRelay passes the statuses of a Build on and remembers which step failed. It removes control
// characters and secrets, since a build prints what its author likes, and a terminal may show it.
type statusRelay struct {
	failed string // name of the vertex that failed last
	// observe receives every status.
	observe func(*client.SolveStatus)
}

// run relays until in is closed. out may be nil.
func (r *statusRelay) run(in <-chan *client.SolveStatus, secrets *redact.Redactor,
	out func(*client.SolveStatus)) {
	clean := func(s string) string { return secrets.String(termtext.Sanitize(s)) }
	for s := range in {
		for _, v := range s.Vertexes {
			r.vertex(v, clean)
		}
		cleanTexts(s, clean)
		r.observe(s)
		if out != nil {
			out(s)
		}
	}
}

// vertex cleans a vertex and remembers it if it failed.
func (r *statusRelay) vertex(v *client.Vertex, clean func(string) string) {
	v.Name = clean(v.Name)
	if v.ProgressGroup != nil {
		v.ProgressGroup.Name = clean(v.ProgressGroup.Name)
	}
	if isImport(v) && strings.HasSuffix(v.Error, ": not found") {
		v.Error = "" // a new commit has no cache of its own yet
	}
	if v.Error == "" {
		return
	}
	v.Error = clean(v.Error)
	if !cancelled(v) && !isImport(v) {
		r.failed = v.Name
	}
}

// cleanTexts cleans all of a status but its vertices.
func cleanTexts(s *client.SolveStatus, clean func(string) string) {
	for _, v := range s.Statuses {
		v.ID, v.Name = clean(v.ID), clean(v.Name)
	}
	for _, l := range s.Logs {
		l.Data = []byte(clean(string(l.Data)))
	}
	for _, v := range s.Warnings {
		v.Short, v.URL = []byte(clean(string(v.Short))), clean(v.URL)
		if v.SourceInfo != nil {
			v.SourceInfo.Filename = clean(v.SourceInfo.Filename)
		}
		for i := range v.Detail {
			v.Detail[i] = []byte(clean(string(v.Detail[i])))
		}
	}
}

// cancelled reports whether a vertex ended because another one failed. BuildKit marks that only by
// the text; its own progressui looks for the same text.
func cancelled(v *client.Vertex) bool {
	return strings.HasSuffix(v.Error, context.Canceled.Error())
}
