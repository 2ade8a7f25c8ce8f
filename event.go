package pinion

import (
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// EventType says what an [Event] tells.
type EventType string

// The types of events, in the order in which they can come. Each run ends with done or failed.
const (
	// EventResolved: the name stands for Revision and the image will be called Reference (in
	// registry mode there is no revision). Prewarmed says that nobody waited for it when it began.
	EventResolved EventType = "resolved"
	// EventHit: the image is there already.
	EventHit EventType = "hit"
	// EventQueued: Position runs are to end first, this one's turn is next at 1. It comes whenever
	// that changes.
	EventQueued EventType = "queued"
	// EventFetching: the builder is asked for the commit.
	EventFetching EventType = "fetching"
	// EventStep: a step of the build changed its state, see Step.
	EventStep EventType = "step"
	// EventLog: a step printed the line Text. Long lines are cut, and in a flood of them the oldest
	// are dropped.
	EventLog EventType = "log"
	// EventDelivering: Bytes have been sent into the image store so far. A builder inside the
	// engine sends none.
	EventDelivering EventType = "delivering"
	// EventDone: Image is there.
	EventDone EventType = "done"
	// EventFailed: it came to nothing, see Failure.
	EventFailed EventType = "failed"
)

// Event is one thing that happened in a run. Which fields are set beside the first four depends on
// the type. All texts are redacted and free of control characters.
type Event struct {
	// ID counts from 1 in each run; numbers of events that were dropped are missing.
	ID   int64     `json:"id"`
	Type EventType `json:"type"`
	Time time.Time `json:"time"`
	// Name of the template.
	Name string `json:"name"`

	Revision  git.Revision `json:"revision,omitzero"`
	Reference string       `json:"reference,omitempty"`
	Prewarmed bool         `json:"prewarmed,omitempty"`
	Position  int          `json:"position,omitempty"`
	Step      *Step        `json:"step,omitempty"`
	Text      string       `json:"text,omitempty"`
	Bytes     int64        `json:"bytes,omitempty"`
	Image     *Image       `json:"image,omitempty"`
	Failure   *Failure     `json:"failure,omitempty"`
}

// Failure is why a run came to nothing.
type Failure struct {
	Message string `json:"error"`
	Origin  Origin `json:"origin,omitempty"`
	Class   Class  `json:"class"`
}

// maxSteps is the number of steps whose events are never dropped.
const maxSteps = 1000

// weight is what the event takes in memory, about, in bytes. 0 means that it must not be dropped.
func (e Event) weight() int {
	switch {
	case e.Type == EventLog, e.Type == EventDelivering, e.Type == EventQueued:
		return 200 + len(e.Text)
	case e.Step != nil && e.Step.Number > maxSteps:
		return 200 + len(e.Step.Name)
	default:
		return 0
	}
}
