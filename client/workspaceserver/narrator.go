package workspaceserver

import (
	"errors"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/client"
)

// narrator logs what happens in one call.
type narrator struct {
	logf    func(format string, args ...any)
	runtime string
	begun   time.Time
}

func (n *narrator) event(e client.Event) {
	switch e.Type {
	case client.EventResolved:
		if e.Revision != "" { // otherwise it is a pull
			n.logf("local-build: docker build start for %s (sha=%s)", e.Reference,
				short(e.Revision))
		}
	case client.EventNotice, client.EventStillBuilding:
		n.logf("local-build: %s", strings.TrimPrefix(e.Text, "local-build: "))
	case client.EventDone:
		n.done(e.Image)
	}
}

func (n *narrator) done(img *client.Image) {
	if img == nil {
		return
	}
	switch took := time.Since(n.begun).Round(time.Millisecond); img.Outcome {
	case client.OutcomeHit:
		n.logf("local-build: cache hit for %s (sha=%s), nothing to build", n.runtime,
			short(img.Revision))
	case client.OutcomeBuilt:
		n.logf("local-build: docker build done in %s: %s is %s", took, img.Reference, img.ID)
	default:
		n.logf("local-build: %s was %s in %s", img.Reference, img.Outcome, took)
	}
	for _, w := range img.Warnings {
		n.logf("local-build: warning: %s", w)
	}
}

// failed logs the last lines of the failed step. The error itself is the caller's to log.
func (n *narrator) failed(err error) {
	var e *client.Error
	if !errors.As(err, &e) {
		return
	}
	for _, line := range e.Log {
		n.logf("local-build: %s: %s", n.runtime, line)
	}
}

func short(revision string) string { return revision[:min(12, len(revision))] }
