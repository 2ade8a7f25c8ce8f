package terminal

import (
	"io"
	"sync"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

// Terminal is stderr with a display on it. It is safe for concurrent use. Close it when done.
type Terminal struct {
	mode    Mode
	several bool
	mask    func(string) string

	mu      sync.Mutex
	out     *lineWriter
	display *display // nil until there is something to show
	held    backlog
	closed  bool
}

// Option adjusts a Terminal.
type Option func(*Terminal)

// WithNames puts the name of what is built before each of its steps. The default is not to.
func WithNames() Option { return func(t *Terminal) { t.several = true } }

// WithMask takes the secrets out of log lines. The default takes out nothing.
func WithMask(mask func(string) string) Option { return func(t *Terminal) { t.mask = mask } }

// New prepares a Terminal on stderr. It fails if mode is [TTY] and stderr is no terminal.
func New(stderr io.Writer, mode Mode, opts ...Option) (*Terminal, error) {
	mode, err := mode.settle(stderr)
	if err != nil {
		return nil, err
	}
	t := &Terminal{mode: mode, mask: func(s string) string {
		return s
	}, out: &lineWriter{w: stderr}}
	for _, o := range opts {
		o(t)
	}
	return t, nil
}

// Progress shows a message of the build of name. It has the form that pinion.WithProgress wants.
func (t *Terminal) Progress(name string, s *client.SolveStatus) {
	if t.mode == Quiet {
		return
	}
	if t.several {
		s = scoped(name, s)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if t.display == nil {
		t.display = newDisplay(t.out, t.mode)
	}
	t.display.send(s)
}

// Stderr is for lines beside the display. Each Write must be whole lines.
func (t *Terminal) Stderr() io.Writer { return screen{t: t, w: t.out, shared: true} }

// Stdout is for results. They wait for the display only where stdout is a terminal: whoever reads a
// pipe gets them at once. Each Write must be whole lines.
func (t *Terminal) Stdout(stdout io.Writer) io.Writer {
	return screen{t: t, w: stdout, shared: t.mode == TTY && isTerminal(stdout)}
}

// Close ends the display and writes what has waited for that. Lines written later go straight
// through, and progress goes nowhere. The error is the first of those writes'.
func (t *Terminal) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.display != nil {
		t.display.pause()
		t.display = nil
	}
	return t.held.release(t.out)
}

// clean makes text from elsewhere fit to print.
func (t *Terminal) clean(s string) string { return termtext.Sanitize(t.mask(s)) }

// screen is one way to the terminal.
type screen struct {
	t *Terminal
	w io.Writer
	// shared says that the display is on the same screen.
	shared bool
}

func (s screen) Write(p []byte) (int, error) {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if d := s.t.display; d != nil && s.shared {
		if !d.pausable() {
			s.t.held.add(s.w, p)
			return len(p), nil
		}
		d.pause()
	}
	return writeLine(s.w, p)
}
