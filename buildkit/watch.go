package buildkit

import (
	"context"
	"strings"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

// watcher sees all that a Build tells of its progress. It makes it harmless (what a build prints is
// its author's, and goes to our terminal) and remembers which step failed.
type watcher struct {
	failed string // name of the vertex that failed last
	// seen hears of every message.
	seen func(*client.SolveStatus)
}

func (w *watcher) forward(in <-chan *client.SolveStatus, secrets *redact.Redactor,
	out func(*client.SolveStatus)) {
	clean := func(s string) string { return secrets.String(termtext.Sanitize(s)) }
	for s := range in {
		for _, v := range s.Vertexes {
			v.Name = clean(v.Name)
			if v.ProgressGroup != nil {
				v.ProgressGroup.Name = clean(v.ProgressGroup.Name)
			}
			if isImport(v) && strings.HasSuffix(v.Error, ": not found") {
				v.Error = "" // a new commit's own cache is missing, always
			}
			if v.Error != "" {
				v.Error = clean(v.Error)
				if !cancelled(v) && !isImport(v) {
					w.failed = v.Name
				}
			}
		}
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
		w.seen(s)
		if out != nil {
			out(s)
		}
	}
}

// cancelled says that a vertex ended because another one failed. BuildKit tells it by the text
// alone (its own progressui looks for the same).
func cancelled(v *client.Vertex) bool {
	return strings.HasSuffix(v.Error, context.Canceled.Error())
}
