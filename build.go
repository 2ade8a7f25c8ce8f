package pinion

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/feed"
	"git.moleculesai.app/molecule-ai/pinion/internal/flight"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

// keptEvents bounds the memory that the droppable events of one run take, in bytes.
const keptEvents = 1 << 20

// Build is one run of the work for an image. Whoever asks for the same thing while it goes on
// shares it.
type Build struct {
	id, name, reference string
	started             time.Time
	events              *feed.Feed[Event]
	clean               func(string) string

	mu     sync.Mutex
	status BuildStatus // guarded by mu

	done  chan struct{} // closed after image and err are set
	image Image
	err   error
}

// newBuild begins with what is known already.
func (o *Orchestrator) newBuild(resolved Event) *Build {
	b := &Build{
		id: rand.Text(), name: resolved.Name, reference: resolved.Reference, started: time.Now(),
		events: feed.New[Event](keptEvents), done: make(chan struct{}),
		clean: o.clean,
	}
	b.status = BuildStatus{ID: b.id, Name: b.name, State: BuildQueued, Reference: b.reference,
		Started: b.started.UTC()}
	b.emit(resolved)
	return b
}

// clean makes text from elsewhere fit to be shown.
func (o *Orchestrator) clean(s string) string { return termtext.Sanitize(o.Redact(s)) }

// ID is unique and cannot be guessed.
func (b *Build) ID() string { return b.id }

// Name of the template.
func (b *Build) Name() string { return b.name }

// Reference that the image will have.
func (b *Build) Reference() string { return b.reference }

// Started is when the first caller asked.
func (b *Build) Started() time.Time { return b.started }

// Done is closed when the build has ended.
func (b *Build) Done() <-chan struct{} { return b.done }

// Result is the image or the error of a build that has ended. Before that it is an error.
func (b *Build) Result() (Image, error) {
	select {
	case <-b.done:
		return b.image.clone(), b.err
	default:
		return Image{}, errors.New("the build goes on")
	}
}

// Events yields what happened after the event of that ID, 0 for all, and what happens from then on,
// until the build has ended or ctx does. Readers may come late and be slow: nothing waits for them.
func (b *Build) Events(ctx context.Context, after int64) iter.Seq[Event] {
	return b.events.After(ctx, after)
}

func (b *Build) emit(e Event) {
	e.Name = b.name
	e.Time = time.Now().UTC()
	b.mu.Lock()
	b.status.observe(e)
	b.mu.Unlock()
	b.events.Add(e.weight(), func(number int64) Event { e.ID = number; return e })
}

// queued has the form that queue.Enter wants.
func (b *Build) queued(position int) { b.emit(Event{Type: EventQueued, Position: position}) }

// end tells the result and closes the events.
func (b *Build) end(ctx context.Context, img Image, err error) {
	switch {
	case err != nil:
		b.emit(Event{Type: EventFailed, Failure: failureOf(ctx, err, b.clean)})
	default:
		if img.Outcome == OutcomeHit {
			b.emit(Event{Type: EventHit})
		}
		shown := img.clone()
		b.emit(Event{Type: EventDone, Image: &shown})
	}
	b.image, b.err = img, err
	close(b.done)
	b.events.Close()
}

func failureOf(ctx context.Context, err error, clean func(string) string) *Failure {
	f := &Failure{Message: clean(err.Error()), Class: ClassOf(err)}
	var e *Error
	if errors.As(err, &e) {
		f.Origin = e.Origin
	}
	if ctx.Err() != nil {
		f.Class = ClassCancelled
	}
	return f
}

// Call is one caller's part in what [Orchestrator.Start] found or began. It ends with Wait or
// Leave.
type Call struct {
	build  *Build
	ticket *flight.Ticket[*Build, Image] // nil for a hit
	// push is nil unless it was asked for.
	push   func(ctx context.Context, img Image) (Image, error)
	finish func(ctx context.Context, img Image, err error) (Image, error)
}

// Build is what the caller takes part in. That of a hit has ended, and is this caller's alone.
func (c *Call) Build() *Build { return c.build }

// Hit says that there is nothing to wait for.
func (c *Call) Hit() bool { return c.ticket == nil }

// Leave withdraws the caller's interest. The last one to leave cancels the build.
func (c *Call) Leave() {
	if c.ticket != nil {
		c.ticket.Leave()
	}
}

// Wait returns the image, or an [*Error], or the context's error if ctx ends first. Then the caller
// has left, and if it was the last one the build has been cancelled and has ended.
func (c *Call) Wait(ctx context.Context) (Image, error) {
	if c.ticket == nil {
		img, err := c.build.Result()
		return c.finish(ctx, img, err)
	}
	img, err := c.ticket.Wait(ctx)
	return c.finish(ctx, img.clone(), err)
}
