package buildkit

import (
	"context"
	"strings"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

// statusRelay passes the statuses of a Build on and remembers which step failed and what it printed
// last. It removes control characters and secrets: the template's author decides what a build
// prints, and a terminal may show it.
type statusRelay struct {
	failed failedStep // the vertex that failed last
	// observe receives every status.
	observe func(*client.SolveStatus)
	checks  *checks
}

// failedStep is a vertex that failed.
type failedStep struct {
	name string
	log  []string // the last lines that it printed
}

// run relays until in is closed. out may be nil.
func (r *statusRelay) run(
	in <-chan *client.SolveStatus, secrets *redact.Redactor, out func(*client.SolveStatus),
) {
	clean := func(s string) string { return secrets.String(termtext.Sanitize(s)) }
	logs, cuts, failed := stepLogs{}, cutLogs{}, digest.Digest("")
	defer func() { r.failed.log = logs[failed].tail(clean) }()
	for s := range in {
		cuts.join(s)
		for _, l := range s.Logs {
			logs.add(l)
		}
		for _, v := range s.Vertexes {
			logs.complete(v)
			if cleanVertex(v, clean) {
				failed, r.failed.name = v.Digest, v.Name
			}
		}
		cleanTexts(s, clean)
		for _, w := range s.Warnings {
			r.checks.add(checkOf(w))
		}
		r.observe(s)
		if out != nil {
			out(s)
		}
	}
}

// cleanVertex cleans a vertex and reports whether it failed by itself.
func cleanVertex(v *client.Vertex, clean func(string) string) (failed bool) {
	v.Name = clean(v.Name)
	if v.ProgressGroup != nil {
		v.ProgressGroup.Name = clean(v.ProgressGroup.Name)
	}
	if isImport(v) && strings.HasSuffix(v.Error, ": not found") {
		v.Error = "" // a new commit has no cache of its own yet
	}
	if v.Error == "" {
		return false
	}
	v.Error = clean(v.Error)
	return !cancelled(v) && !isImport(v)
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
