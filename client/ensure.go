package client

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// cancelTimeout bounds the withdrawal after the caller's context has ended.
	cancelTimeout = 5 * time.Second
	// maxCutOffs is the number of event streams in a row that may break without an event.
	maxCutOffs = 4
	// firstPause is the time before a broken stream is opened again. It doubles each time.
	firstPause = 100 * time.Millisecond
)

// Ensure returns the image of the template's current commit. The server builds or pulls it if its
// store lacks it; callers with the same request share a build.
//
// onEvent, unless it is nil, is called with each event, one at a time. The last one is done or
// failed.
//
// If ctx ends, Ensure withdraws, and the error is an [*Error] that says in which step, and that
// wraps the context's error. A process that is killed does not withdraw, and its build goes on.
func (c *Client) Ensure(
	ctx context.Context, name string, onEvent func(Event), opts ...EnsureOption,
) (Image, error) {
	run := &run{client: c, name: name, onEvent: onEvent, begun: time.Now()}
	img, accepted, err := c.Request(ctx, name, opts...)
	switch {
	case err != nil:
		return Image{}, run.failed(ctx, err)
	case img != nil:
		run.own(Event{Type: EventHit, Revision: img.Revision, Reference: img.Reference})
		run.own(Event{Type: EventDone, Image: img})
		return *img, nil
	}
	last, err := run.follow(ctx, accepted.Build.ID)
	if err == nil && last.Image != nil {
		return *last.Image, nil
	}
	if ctx.Err() != nil {
		away, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
		defer stop()
		// The build may have ended by now. A server that is gone has cancelled it.
		_ = c.Cancel(away, accepted.Build.ID, accepted.Interest)
	}
	if err == nil && last.Failure != nil {
		f := last.Failure
		return Image{}, &Error{Name: name, Class: f.Class, Message: f.Message, Origin: f.Origin,
			Step: f.Step, Log: f.Log, Checks: f.Checks}
	}
	if err == nil {
		err = errors.New("the server reports the end of the build without a result")
	}
	return Image{}, run.failed(ctx, err)
}

// run is one call of Ensure.
type run struct {
	client  *Client
	name    string
	onEvent func(Event)
	begun   time.Time
	step    Step  // the last one that started
	last    int64 // number of the last event
}

// own passes on an event that the client itself makes.
func (r *run) own(e Event) {
	e.Name, e.Time = r.name, time.Now().UTC()
	r.pass(e)
}

func (r *run) pass(e Event) {
	if e.Step != nil && e.Step.State == "started" {
		r.step = *e.Step
	}
	if r.onEvent != nil {
		r.onEvent(e)
	}
}

// failed passes on the event of a failure without one of its own, and returns the error.
func (r *run) failed(ctx context.Context, err error) error {
	var e *Error
	if cause := ctx.Err(); cause != nil {
		err = r.ended(cause)
	}
	f := Failure{Message: err.Error(), Class: ClassOf(err)}
	if errors.As(err, &e) {
		f.Origin, f.Step, f.Log, f.Checks = e.Origin, e.Step, e.Log, e.Checks
	}
	r.own(Event{Type: EventFailed, Failure: &f})
	return err
}

// ended is the error of a context that ended.
func (r *run) ended(cause error) *Error {
	text := fmt.Sprintf("%v after %s", cause, time.Since(r.begun).Round(time.Millisecond))
	if s := r.step; s.Number > 0 {
		text += fmt.Sprintf(" in step %d/%d %s", s.Number, s.Total, s.Name)
	}
	return &Error{Name: r.name, Class: ClassCancelled, Message: text, cause: cause}
}

// follow passes on the events of a build and returns the last one, done or failed. If the stream
// breaks, it goes on behind the last event.
func (r *run) follow(ctx context.Context, id string) (Event, error) {
	pause := firstPause
	for broken := 0; ; {
		before := r.last
		end, err := r.client.stream(ctx, id, r.last, func(e Event) {
			r.last = e.ID
			r.pass(e)
		})
		if end != nil {
			return *end, nil
		}
		if r.last > before {
			broken, pause = 0, firstPause
		}
		if broken++; ctx.Err() != nil || broken > maxCutOffs || !isTransient(err) {
			return Event{}, err
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
		}
	}
}

// isTransient reports whether a stream that broke is worth another try.
func isTransient(err error) bool {
	var e *Error
	return err == nil || errors.Is(err, ErrNoServer) || errors.As(err, &e) && e.Status/100 == 5
}
