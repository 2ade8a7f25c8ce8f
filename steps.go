package pinion

import (
	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

// Step is a vertex of BuildKit's build graph.
type Step = buildkit.Step

// StepState is how far a step is.
type StepState = buildkit.StepState

// The states of a step. A cached one is never started.
const (
	StepStarted = buildkit.StepStarted
	StepCached  = buildkit.StepCached
	StepDone    = buildkit.StepDone
	StepFailed  = buildkit.StepFailed
)

// progressEvents emits an event for each change in BuildKit's statuses.
func progressEvents(emit func(Event)) *buildkit.Steps {
	return buildkit.NewSteps(func(p buildkit.Progress) {
		switch p.Kind {
		case buildkit.ProgressStep:
			emit(Event{Type: EventStep, Step: &p.Step})
		case buildkit.ProgressLine:
			emit(Event{Type: EventLog, Text: p.Line, Step: &p.Step})
		case buildkit.ProgressDelivery:
			emit(Event{Type: EventDelivering, Bytes: p.Bytes})
		}
	})
}

// progress passes BuildKit's progress on, as statuses and as events.
func (j *job) progress() func(*client.SolveStatus) {
	steps := progressEvents(j.told.emit)
	return func(st *client.SolveStatus) {
		steps.Update(st)
		j.o.settings.progress(j.template.Name, st)
	}
}
