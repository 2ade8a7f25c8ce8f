package terminal

import (
	"context"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/progress/progressui"
)

// display runs BuildKit's display. Its methods are not safe for concurrent use; between start and
// pause the display writes from a goroutine of its own.
type display struct {
	ui   progressui.Display
	mode Mode
	// broken says that a step has failed.
	broken bool
	feed   chan *client.SolveStatus // nil while paused
	ended  chan struct{}
}

// newDisplay takes the lineWriter apart for a terminal, since BuildKit wants the file itself then.
func newDisplay(out *lineWriter, mode Mode) *display {
	d := &display{mode: mode}
	var err error
	if mode == TTY {
		d.ui, err = progressui.NewDisplay(out.w, mode.display())
	} else {
		d.ui, err = progressui.NewDisplay(out, mode.display())
	}
	if err != nil {
		// The terminal was one when we started and is gone: nobody is looking.
		d.ui, _ = progressui.NewDisplay(out, progressui.QuietMode)
	}
	return d
}

func (d *display) send(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		d.broken = d.broken || v.Error != ""
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
		// A build that is being cancelled has things to show until it is over, hence no context of
		// its.
		_, _ = d.ui.UpdateFrom(context.Background(), feed)
	}()
}

// pausable says whether the display can be stopped and go on later. One that redraws cannot: it
// would draw over what was written meanwhile. Nor can one with a failed step, whose log it repeats
// each time it stops.
func (d *display) pausable() bool { return d.mode != TTY && !d.broken }

// pause returns when everything sent has been written. The next send goes on.
func (d *display) pause() {
	if d.feed == nil {
		return
	}
	close(d.feed)
	<-d.ended
	d.feed = nil
}
