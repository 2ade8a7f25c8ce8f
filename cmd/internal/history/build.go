package history

import (
	"slices"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// Interrupted is the state of a build whose process ended before it.
const Interrupted pinion.BuildState = "interrupted"

// Build is a build, a pull or a hit, and how it ended.
type Build struct {
	pinion.BuildStatus
	// Command is the verb of the process that built.
	Command string `json:"command"`
	// PID is the process that builds, while it does.
	PID int `json:"pid,omitempty"`
	// Hits is how often the same image was found for the same asker within the hour of Started. It
	// is 0 for what is no hit. Ended is the time of the last one.
	Hits int `json:"hits,omitempty"`
}

// IsRunning reports whether the build has not ended.
func (b Build) IsRunning() bool { return b.Ended.IsZero() }

// Took returns how long the build has taken until now, or took.
func (b Build) Took(now time.Time) time.Duration {
	switch {
	case b.Hits > 0 && b.Image != nil:
		return time.Duration(b.Image.Durations.Total) * time.Millisecond
	case b.IsRunning():
		return now.Sub(b.Started)
	}
	return b.Ended.Sub(b.Started)
}

// kind returns what the build came to, one of the values of [Filter.Kinds].
func (b Build) kind() string {
	switch {
	case b.Saves != "":
		return KindSave
	case b.Hits > 0:
		return KindHit
	case b.State == pinion.BuildDone:
		return KindDone
	case b.State == pinion.BuildFailed:
		return KindFailed
	case b.State == Interrupted:
		return KindInterrupted
	}
	return KindRunning
}

// Step is one step of a build.
type Step struct {
	pinion.Step
	// Started is zero for a cached step, and Ended for one that has not ended.
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
}

// Steps returns the steps that events tell of, by their numbers.
func Steps(events []pinion.Event) []Step {
	steps := map[int]*Step{}
	for _, e := range events {
		if e.Type != pinion.EventStep || e.Step == nil {
			continue
		}
		s := steps[e.Step.Number]
		if s == nil {
			s = &Step{}
			steps[e.Step.Number] = s
		}
		s.Step = *e.Step
		switch e.Step.State {
		case pinion.StepStarted:
			s.Started, s.Ended = e.Time, time.Time{}
		default:
			s.Ended = e.Time
		}
	}
	list := make([]Step, 0, len(steps))
	for _, s := range steps {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b Step) int { return a.Number - b.Number })
	return list
}
