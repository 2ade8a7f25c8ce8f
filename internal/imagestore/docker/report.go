package docker

import (
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// report turns the messages of a pull or a push into progress. Engines repeat a layer's state many
// times a second to move progress bars; a message that says nothing new is left out.
type report struct {
	progress func(imagestore.Progress)
	states   map[string]layerState // by the message's ID, "" for the whole
	bytes    int64
}

type layerState struct {
	status  string
	current int64 // of what the status names
	bytes   int64 // moved between engine and registry
}

// newReport returns a report to a function, which may be nil.
func newReport(progress func(imagestore.Progress)) *report {
	if progress == nil {
		progress = func(imagestore.Progress) {}
	}
	return &report{progress: progress, states: map[string]layerState{}}
}

func (r *report) see(m message) {
	before := r.states[m.ID]
	now := before
	if m.Status != "" && m.Status != before.status {
		now.status, now.current = m.Status, 0
	}
	if m.Progress != nil {
		now.current = m.Progress.Current
	}
	if now.status == "Downloading" || now.status == "Pushing" {
		now.bytes = max(now.bytes, now.current)
	}
	if now == before {
		return
	}
	r.states[m.ID] = now
	r.bytes += now.bytes - before.bytes
	p := imagestore.Progress{Bytes: r.bytes, Unpacking: r.unpacking()}
	if now.status != before.status {
		p.Status = strings.TrimPrefix(m.ID+": "+now.status, ": ")
	}
	r.progress(p)
}

// unpacking reports whether the layers of a pull have come. The words are the engine's (moby,
// daemon/internal/distribution and daemon/containerd/progress.go).
func (r *report) unpacking() bool {
	unpacking := false
	for _, s := range r.states {
		switch {
		case s.status == "Pulling fs layer", s.status == "Waiting", s.status == "Downloading",
			s.status == "Verifying Checksum", strings.HasPrefix(s.status, "Retrying in"):
			return false
		case s.status == "Download complete", s.status == "Extracting",
			s.status == "Pull complete":
			unpacking = true
		}
	}
	return unpacking
}
