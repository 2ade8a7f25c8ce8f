package pinion

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/buildcache"
	"git.moleculesai.app/molecule-ai/pinion/internal/feed"
	"git.moleculesai.app/molecule-ai/pinion/internal/flight"
	"git.moleculesai.app/molecule-ai/pinion/internal/heartbeat"
	"git.moleculesai.app/molecule-ai/pinion/internal/queue"
	"git.moleculesai.app/molecule-ai/pinion/internal/span"
)

// maxEventBytes bounds the memory that the droppable events of one build use.
const maxEventBytes = 1 << 20

// builds runs the work for images, and shares it between calls.
type builds struct {
	group flight.Group[string, *Build, Image]
	queue *queue.Queue
	clean func(string) string
	log   *slog.Logger
	// observe is told of each build and hit, see WithBuildObserver.
	observe func(*Build)
	// before runs before each build, see WithBeforeBuild.
	before func(ctx context.Context, name string) (notice string)
}

// hit returns a call that has its image.
func (bs *builds) hit(ctx context.Context, req request, resolved Event, img Image) *Call {
	resolved.AskedBy = req.askedBy
	b := newBuild(resolved, bs.clean)
	img.Durations.Total = ms(time.Since(req.begun))
	b.end(ctx, img, nil)
	bs.observe(b)
	return &Call{build: b}
}

// join shares the build with that key, or begins one. A build waits for its turn in the queue, and
// one that nobody waits for stands behind all others there.
func (bs *builds) join(
	ctx context.Context, key string, req request, resolved Event,
	work func(context.Context, *Build) (Image, error),
) (*Call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	begin := func() *Build {
		resolved.AskedBy = req.askedBy
		b := newBuild(resolved, bs.clean)
		b.turn = bs.queue.Turn(!req.prewarm, b.queued)
		_, b.span = span.Start(ctx, spanBuild)
		b.span.Text("pinion.build.id", b.id)
		b.span.Text("pinion.reason", resolved.Reason)
		bs.observe(b)
		return b
	}
	run := func(ctx context.Context, b *Build) (img Image, err error) {
		defer func() {
			if err != nil {
				logLong(bs.log, b.name, err)
				err = withChecks(fail(ctx, b.name, err), b.found())
				logChecks(bs.log, b.name, err)
				logStep(bs.log, b.name, err)
			}
			logWarnings(bs.log, b.name, img.Warnings)
			img.Durations.Total = ms(time.Since(req.begun))
			b.end(ctx, img, err)
			b.span.End(err)
		}()
		ctx = b.span.In(ctx)
		if err := span.Do(ctx, spanQueue, b.turn.Take); err != nil {
			return Image{}, err
		}
		defer b.turn.Leave()
		b.setState(BuildRunning)
		if text := bs.before(ctx, b.name); text != "" {
			b.emit(Event{Type: EventNotice, Text: bs.clean(text)})
		}
		return work(ctx, b)
	}
	t := bs.group.Join(ctx, key, begin, run)
	if !t.Joined() {
		t.Shared().cancelBy(t.Cancel)
	}
	if !req.prewarm {
		t.Shared().turn.Want()
	}
	return &Call{build: t.Shared(), ticket: t}, nil
}

// Build is one run of the work for an image, or of the saving of a build's cache. Calls for the
// same thing share it while it runs.
type Build struct {
	id, name, reference string
	started             time.Time
	events              *feed.Feed[Event]
	clean               func(string) string
	turn                *queue.Turn // nil for a hit
	span                span.Span   // records nothing for a hit

	mu     sync.Mutex
	status BuildStatus  // guarded by mu
	checks []BuildCheck // guarded by mu
	doing  string       // what began last; guarded by mu
	queue  time.Time    // since when it has queued; guarded by mu
	// isCancelled reports whether Cancel was called; guarded by mu.
	isCancelled bool
	cancel      func() // nil for a hit, and before cancelBy; guarded by mu
	// changes counts the events of each step; guarded by mu.
	changes map[int]int

	done  chan struct{} // closed after image and err are set
	image Image
	err   error
}

// newBuild returns a build whose first event is resolved.
func newBuild(resolved Event, clean func(string) string) *Build {
	b := &Build{
		id: rand.Text(), name: resolved.Name, reference: resolved.Reference, started: time.Now(),
		events: feed.New[Event](maxEventBytes), done: make(chan struct{}), clean: clean,
	}
	b.queue = b.started
	b.status = BuildStatus{ID: b.id, Name: b.name, State: BuildQueued, Reference: b.reference,
		Started: b.started.UTC()}
	b.emit(resolved)
	return b
}

// ID returns the build's ID, which is unique and cannot be guessed.
func (b *Build) ID() string { return b.id }

// Name returns the template's name.
func (b *Build) Name() string { return b.name }

// Reference returns the name that the image will have.
func (b *Build) Reference() string { return b.reference }

// Started returns the time of the first call.
func (b *Build) Started() time.Time { return b.started }

// Done returns a channel that is closed when the build has ended.
func (b *Build) Done() <-chan struct{} { return b.done }

// Cancel stops the build for all of its callers, with an error of [ClassCancelled]. Later calls do
// not join it. It does nothing to a build that has ended.
func (b *Build) Cancel() {
	b.mu.Lock()
	b.isCancelled = true
	cancel := b.cancel
	b.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// cancelBy sets what cancels the build. An observer may have asked for that already.
func (b *Build) cancelBy(cancel func()) {
	b.mu.Lock()
	b.cancel = cancel
	now := b.isCancelled
	b.mu.Unlock()
	if now {
		cancel()
	}
}

// Result returns the image or the error of a build that has ended. Before that it is an error.
func (b *Build) Result() (Image, error) {
	select {
	case <-b.done:
		return b.image.clone(), b.err
	default:
		return Image{}, errors.New("the build goes on")
	}
}

// Events yields the events after the one with that ID, 0 for all, and the events to come, until the
// build or ctx ends. Readers may come late and be slow: nothing waits for them.
func (b *Build) Events(ctx context.Context, after int64) iter.Seq[Event] {
	return b.events.After(ctx, after)
}

func (b *Build) emit(e Event) { b.publish(b.note(e)) }

// note completes an event and keeps the status in step with it.
func (b *Build) note(e Event) Event {
	e.Name = b.name
	e.Time = time.Now().UTC()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.observe(e)
	b.doing = cmp.Or(e.doing(), b.doing)
	return e
}

// publish adds an event to the feed. A position replaces the one before, so that a long queue takes
// no more memory than a short one.
func (b *Build) publish(e Event) {
	numbered := func(number int64) Event { e.ID = number; return e }
	if e.Type == EventQueued {
		b.events.Replace(e.weight(), numbered, func(before Event) bool {
			return before.Type == EventQueued
		})
		return
	}
	b.events.Add(b.weight(e), numbered)
}

// queued reports the place in the queue.
func (b *Build) queued(position int) { b.emit(Event{Type: EventQueued, Position: position}) }

// end sets the result and closes the events. A reader of the last event finds the result.
func (b *Build) end(ctx context.Context, img Image, err error) {
	last := Event{Type: EventFailed}
	if err != nil {
		last.Failure = failureOf(ctx, err, b.clean)
		if ctx.Err() != nil { // what failed then is nobody's fault
			last.Failure.Message, last.Failure.Origin, last.Failure.Log =
				b.name+": "+b.cancellation(), "", nil
			last.Failure.Step = ""
		}
	} else {
		if img.Outcome == OutcomeHit {
			b.emit(Event{Type: EventHit})
		}
		shown := img.clone()
		last = Event{Type: EventDone, Image: &shown}
	}
	b.finish(last, img, err)
}

// finish is end with the last event.
func (b *Build) finish(last Event, img Image, err error) {
	last = b.note(last)
	b.image, b.err = img, err
	close(b.done)
	b.publish(last)
	b.events.Close()
}

// setState sets the state of a build that has not ended.
func (b *Build) setState(s BuildState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.status.State, b.status.Position, b.doing = s, 0, ""; s {
	case BuildQueued:
		b.queue = time.Now()
	case BuildRunning:
		b.status.Queued += ms(time.Since(b.queue))
	}
}

// pause gives the build's place in the queue to others while wait runs.
func (b *Build) pause(ctx context.Context, wait func() error) error {
	b.setState(BuildQueued)
	if err := b.turn.Pause(ctx, wait); err != nil {
		return err
	}
	b.setState(BuildRunning)
	return nil
}

// Status returns the state of the build right now.
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

// latest returns what the build began to do last, in human-readable form; empty if that is not
// known.
func (b *Build) latest() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.doing
}

// progress returns a function that emits events for BuildKit's statuses and passes the statuses on.
func (b *Build) progress(
	observe func(buildkit.Progress), next func(name string, s *client.SolveStatus),
) func(*client.SolveStatus) {
	steps := newSteps(observe, b.emit)
	return func(s *client.SolveStatus) {
		steps.Update(s)
		next(b.name, s)
	}
}

// notice logs and emits what a long wait is for, before it begins.
func (b *Build) notice(log *slog.Logger, text string, attrs ...any) {
	log.Info(text, attrs...)
	b.emit(Event{Type: EventNotice, Text: b.clean(text)})
}

// stillBuilding logs and emits that the build goes on.
func (b *Build) stillBuilding(log *slog.Logger, h heartbeat.Beat) {
	text := b.clean(fmt.Sprintf("still building %s: %s", b.name, h))
	log.Info(text, heartbeat.Line())
	b.emit(Event{Type: EventStillBuilding, Text: text, Step: h.Step, Elapsed: ms(h.Elapsed)})
}

// save begins the run that saves the cache of a build.
func (bs *builds) save(of buildcache.Save) buildcache.Report {
	b := newBuild(Event{Type: EventResolved, Name: of.Name, Reference: of.Reference,
		Saves: of.Build}, bs.clean)
	b.setState(BuildRunning)
	bs.observe(b)
	return &saving{b, newSteps(func(buildkit.Progress) {}, b.emit)}
}

// saving is the run that saves the cache of a build. It implements [buildcache.Report].
type saving struct {
	build *Build
	steps *buildkit.Steps
}

func (s *saving) Progress(status *client.SolveStatus) { s.steps.Update(status) }

func (s *saving) End(err error) {
	last := Event{Type: EventDone}
	if err != nil {
		last = Event{Type: EventFailed,
			Failure: failureOf(context.Background(), err, s.build.clean)}
	}
	s.build.finish(last, Image{}, err)
}
