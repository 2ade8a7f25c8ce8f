package pinion

import (
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// BuildState is how far a build or pull is.
type BuildState string

// The states of a build, in their order.
const (
	BuildQueued  BuildState = "queued"
	BuildRunning BuildState = "running"
	BuildDone    BuildState = "done"
	BuildFailed  BuildState = "failed"
)

// BuildStatus is what can be said of a [Build] at a moment. All texts are redacted and free of
// control characters.
type BuildStatus struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// State, and Position while it is queued: 1 is the next.
	State     BuildState   `json:"state"`
	Position  int          `json:"position,omitempty"`
	Reference string       `json:"reference"`
	Revision  git.Revision `json:"revision,omitzero"`
	// Prewarmed: it was begun before anybody waited for it.
	Prewarmed bool      `json:"prewarmed,omitempty"`
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended,omitzero"`
	Image     *Image    `json:"image,omitempty"`
	Failure   *Failure  `json:"failure,omitempty"`
	// SupersededBy is the branch's head if it is known to have moved since.
	SupersededBy git.Revision `json:"superseded_by,omitzero"`
}

// Status of the build right now.
func (b *Build) Status() BuildStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	if s.Image != nil {
		shown := s.Image.clone()
		s.Image = &shown
	}
	return s
}

// observe keeps the status in step with the events.
func (s *BuildStatus) observe(e Event) {
	switch e.Type {
	case EventResolved:
		s.Revision, s.Prewarmed = e.Revision, e.Prewarmed
	case EventQueued:
		s.Position = e.Position
	case EventDone:
		s.State, s.Position, s.Ended, s.Image, s.SupersededBy = BuildDone, 0, e.Time, e.Image,
			e.Image.SupersededBy
	case EventFailed:
		s.State, s.Position, s.Ended, s.Failure = BuildFailed, 0, e.Time, e.Failure
	}
}

// run is told when the build has got its turn.
func (b *Build) run() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.State, b.status.Position = BuildRunning, 0
}
