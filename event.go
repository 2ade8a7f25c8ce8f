package pinion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// EventType is the kind of an [Event].
type EventType string

// The types of events, in the order in which they can come. Each run ends with done or failed.
const (
	// EventResolved: the name stands for Revision and the image will be called Reference (in
	// registry mode there is no revision). Prewarmed is true if no caller waited when it began,
	// AskedBy says who asked, and Reason why it is no hit.
	EventResolved EventType = "resolved"
	// EventHit: the store has the image already.
	EventHit EventType = "hit"
	// EventQueued: Position runs must end before this one starts; at 1 it is next. It is sent
	// again when the position changes, and only the newest is kept.
	EventQueued EventType = "queued"
	// EventFetching: Builder is asked for the commit.
	EventFetching EventType = "fetching"
	// EventStep: a step of the build changed its state, see Step.
	EventStep EventType = "step"
	// EventLog: a step printed the line Text. Long lines are cut, and in a flood of them the oldest
	// are dropped.
	EventLog EventType = "log"
	// EventCheck: BuildKit remarks something on the Dockerfile, see Check. Text has it in one line.
	EventCheck EventType = "check"
	// EventNotice: Text is worth knowing before a long wait, or says which build argument a file of
	// the commit gives.
	EventNotice EventType = "notice"
	// EventStillBuilding: nothing was reported for 20 s, and the build goes on. Step is the one
	// that runs, if one does, and Elapsed says for how long; Text says the same to people.
	EventStillBuilding EventType = "still-building"
	// EventDelivering: Bytes have been sent into the image store so far, or have come from the
	// registry. A builder inside the engine sends none.
	EventDelivering EventType = "delivering"
	// EventDone: Image is there, or the cache of a build is saved.
	EventDone EventType = "done"
	// EventFailed: it came to nothing, see Failure.
	EventFailed EventType = "failed"
	// EventPushing: Bytes of the image have been sent to the registry under Reference so far. A
	// push is its caller's own and comes after the run: only [OnEvent] has this event, with ID 0.
	EventPushing EventType = "pushing"
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
	AskedBy   string       `json:"asked_by,omitempty"` // by whom the run was begun, see the option
	// Pinned reports whether the caller chose the commit or a working tree, and not a head.
	Pinned bool `json:"pinned,omitempty"`
	// PullRequest is the number of the pull request that the build is of; 0 for a branch.
	PullRequest int            `json:"pull_request,omitempty"`
	Saves       string         `json:"saves,omitempty"` // see [BuildStatus]
	Reason      string         `json:"reason,omitempty"`
	Cause       string         `json:"-"` // the kind of Reason, see [BuildStatus]
	Builder     *buildkit.Info `json:"builder,omitempty"`
	Position    int            `json:"position,omitempty"`
	Step        *Step          `json:"step,omitempty"`
	Text        string         `json:"text,omitempty"`
	Bytes       int64          `json:"bytes,omitempty"`
	// Elapsed is in milliseconds.
	Elapsed int64       `json:"elapsed_ms,omitempty"`
	Image   *Image      `json:"image,omitempty"`
	Failure *Failure    `json:"failure,omitempty"`
	Check   *BuildCheck `json:"check,omitempty"`
}

// Step is a vertex of BuildKit's build graph.
type Step = buildkit.Step

// StepState is the state of a step.
type StepState = buildkit.StepState

// The states of a step. A cached step never starts.
const (
	StepStarted = buildkit.StepStarted
	StepCached  = buildkit.StepCached
	StepDone    = buildkit.StepDone
	StepFailed  = buildkit.StepFailed
)

// newSteps returns what emits an event for each change in BuildKit's statuses. observe sees the
// change first.
func newSteps(observe func(buildkit.Progress), emit func(Event)) *buildkit.Steps {
	return buildkit.NewSteps(func(p buildkit.Progress) {
		observe(p)
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

// logHit logs that there is nothing to build.
func (o *Orchestrator) logHit(w work) {
	o.log.Info(fmt.Sprintf("local-build: cache hit for %s (sha=%s), nothing to build",
		w.template.Name, w.recipe.Short()))
}

// announce says before a first build how long it may take, and whether emulation makes it slow or
// is not there.
func (o *Orchestrator) announce(
	w work, bk builder.Connection, platform ocispecs.Platform, b *Build,
) {
	if !w.first {
		return
	}
	text := fmt.Sprintf("local-build: first build of %s, which may take minutes", w.template.Name)
	if !builder.Emulated(bk, platform) {
		b.notice(o.log, text)
		return
	}
	native := platforms.Format(bk.Native())
	if bk.RequirePlatform(platform) != nil {
		b.notice(o.log, text+fmt.Sprintf("; the builder runs %s and not %s, so a step that runs "+
			"a program of that platform will fail", native, w.recipe.Platform))
		return
	}
	text += fmt.Sprintf("; %s is emulated on %s, which is slow", w.recipe.Platform, native)
	if w.template.Platform != "" {
		b.notice(o.log, text) // the catalogue decides
		return
	}
	b.notice(o.log, text+"; "+EnvPlatform+"="+NativePlatform+" would be faster",
		slog.Any("situation", errdef.PlatformEmulated))
}

// noticeArgs returns a function that says which build arguments files of the commit give.
func (o *Orchestrator) noticeArgs(name string, b *Build) func([]arg.Value) {
	return func(values []arg.Value) {
		for _, v := range values {
			if v.File != "" {
				b.notice(o.log, fmt.Sprintf("local-build: pinning %s=%s from %s for %s",
					v.Name, v.Value, v.File, name))
			}
		}
	}
}

// Failure is the reason why a build failed.
type Failure struct {
	Message string `json:"error"`
	Origin  Origin `json:"origin,omitempty"`
	Class   Class  `json:"class"`
	// Step is the name of the step that failed, for example "[2/3] RUN make"; empty if none did.
	Step string `json:"step,omitempty"`
	// Log has the last lines that the failed step printed, see [StepError].
	Log []string `json:"log,omitempty"`
	// Checks are what BuildKit had remarked on the Dockerfile before.
	Checks []BuildCheck `json:"checks,omitempty"`
}

// maxSteps is the number of steps whose events are never dropped.
const maxSteps = 1000

// weight is what the event takes in memory, about, in bytes. 0 means that it must not be dropped.
func (e Event) weight() int {
	switch {
	case e.Type == EventLog, e.Type == EventDelivering, e.Type == EventQueued,
		e.Type == EventStillBuilding:
		return 200 + len(e.Text)
	case e.Step != nil && e.Step.Number > maxSteps:
		return 200 + len(e.Step.Name)
	default:
		return 0
	}
}

// maxChanges is the number of events of one step that are never dropped. A builder may start a step
// that it has completed again and again.
const maxChanges = 8

// weight is [Event.weight], also for a step that changes more often than a step does.
func (b *Build) weight(e Event) int {
	if e.Type != EventStep || e.Step.Number > maxSteps {
		return e.weight()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changes == nil {
		b.changes = map[int]int{}
	}
	if b.changes[e.Step.Number]++; b.changes[e.Step.Number] > maxChanges {
		return 200 + len(e.Step.Name)
	}
	return 0
}

// doing describes what the event begins, in human-readable form. It is empty for an event that
// begins nothing.
func (e Event) doing() string {
	switch {
	case e.Type == EventQueued:
		return "waiting for other builds"
	case e.Type == EventFetching:
		return "fetching the commit"
	case e.Type == EventDelivering:
		return "delivering the image"
	case e.Type == EventStep && e.Step.State == StepStarted:
		return fmt.Sprintf("step %d of %d, %s", e.Step.Number, e.Step.Total, e.Step.Name)
	}
	return ""
}

// failureOf returns the failure of an error. A call that was cancelled has the class cancelled,
// whatever the error says.
func failureOf(ctx context.Context, err error, clean func(string) string) *Failure {
	f := &Failure{Message: clean(err.Error()), Class: ClassOf(err)}
	var e *Error
	if errors.As(err, &e) {
		f.Origin, f.Checks = e.Origin, slices.Clone(e.Checks)
	}
	if step, ok := errors.AsType[*StepError](err); ok {
		f.Step = clean(step.Step)
		for _, line := range step.Log {
			f.Log = append(f.Log, clean(line))
		}
	}
	if ctx.Err() != nil {
		f.Class = ClassCancelled
	}
	return f
}

// cancellation says why the build was cancelled.
func (b *Build) cancellation() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isCancelled {
		return "cancelled on request"
	}
	return "cancelled: no caller waits for the build any more"
}

// check keeps and emits a remark of BuildKit.
func (b *Build) check(c BuildCheck) {
	c = c.Clean(b.clean)
	b.mu.Lock()
	b.checks = append(b.checks, c)
	b.mu.Unlock()
	b.emit(Event{Type: EventCheck, Text: c.String(), Check: &c})
}

// found returns the remarks of BuildKit so far.
func (b *Build) found() []BuildCheck {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.checks)
}

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
	// Prewarmed reports whether the build began before a caller waited for it.
	Prewarmed bool `json:"prewarmed,omitempty"`
	// AskedBy is the text of the call that began the build, see the option of that name.
	AskedBy string `json:"asked_by,omitempty"`
	// Pinned reports whether the caller chose the commit or a working tree, and not a head.
	Pinned bool `json:"pinned,omitempty"`
	// PullRequest is the number of the pull request that the build is of; 0 for a branch.
	PullRequest int `json:"pull_request,omitempty"`
	// Saves is the ID of the build whose cache is saved. It is empty for what makes an image.
	Saves string `json:"saves,omitempty"`
	// Reason says why the call was not a hit.
	Reason string `json:"reason,omitempty"`
	// Cause is the kind of Reason, one of [MissCauses].
	Cause string `json:"-"`
	// Builder is nil until the builder is asked for the commit, and in registry mode.
	Builder *buildkit.Info `json:"builder,omitempty"`
	Started time.Time      `json:"started"`
	// Queued in milliseconds is how long it has waited for its turn and for others that made the
	// same, without the wait that goes on.
	Queued  int64     `json:"queued_ms,omitempty"`
	Ended   time.Time `json:"ended,omitzero"`
	Image   *Image    `json:"image,omitempty"`
	Failure *Failure  `json:"failure,omitempty"`
	// SupersededBy is the branch's head if it is known to have moved since.
	SupersededBy git.Revision `json:"superseded_by,omitzero"`
}

// observe keeps the status in step with the events.
func (s *BuildStatus) observe(e Event) {
	switch e.Type {
	case EventResolved:
		s.Revision, s.Prewarmed = e.Revision, e.Prewarmed
		s.AskedBy, s.Pinned, s.PullRequest = e.AskedBy, e.Pinned, e.PullRequest
		s.Reason, s.Cause, s.Saves = e.Reason, e.Cause, e.Saves
	case EventFetching:
		s.Builder = e.Builder
	case EventQueued:
		s.Position = e.Position
	case EventDone:
		s.State, s.Position, s.Ended, s.Image = BuildDone, 0, e.Time, e.Image
		if e.Image != nil {
			s.SupersededBy = e.Image.SupersededBy
		}
	case EventFailed:
		s.State, s.Position, s.Ended, s.Failure = BuildFailed, 0, e.Time, e.Failure
	}
}
