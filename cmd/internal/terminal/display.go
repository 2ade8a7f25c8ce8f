package terminal

import (
	"context"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/progress/progressui"
)

// display runs BuildKit's display. Its methods are not safe for concurrent use. Between start and
// pause the display writes from its own goroutine.
type display struct {
	ui   progressui.Display
	mode Mode
	// failed is set once a step has failed.
	failed bool
	feed   chan *client.SolveStatus // nil while paused
	ended  chan struct{}            // closed when the display has written everything
}

// newDisplay passes the underlying file to BuildKit for a terminal, since BuildKit requires a file
// there.
func newDisplay(out *lineWriter, mode Mode) *display {
	d := &display{mode: mode}
	var err error
	if mode == TTY {
		d.ui, err = progressui.NewDisplay(out.w, mode.display())
	} else {
		d.ui, err = progressui.NewDisplay(out, mode.display())
	}
	if err != nil {
		// stderr was a terminal at the start and has been closed.
		d.ui, _ = progressui.NewDisplay(out, progressui.QuietMode)
	}
	return d
}

func (d *display) send(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		d.failed = d.failed || v.Error != ""
	}
	if d.feed == nil {
		d.start()
	}
	d.feed <- s
}

func (d *display) start() {
	feed, ended := make(chan *client.SolveStatus), make(chan struct{})
	d.feed, d.ended = feed, ended
	go func() {
		defer close(ended)
		// A cancelled build still has progress to show, so its context does not apply.
		_, _ = d.ui.UpdateFrom(context.Background(), feed)
	}()
}

// pausable reports whether the display can stop and continue later. A display that redraws cannot,
// since it would overwrite the lines in between. A display with a failed step cannot either, since
// it repeats the step's log each time it stops.
func (d *display) pausable() bool { return d.mode != TTY && !d.failed }

// pause stops the display and returns when it has written everything. The next send starts it
// again.
func (d *display) pause() {
	if d.feed == nil {
		return
	}
	close(d.feed)
	<-d.ended
	d.feed = nil
}
