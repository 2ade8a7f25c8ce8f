package terminal

import (
	"io"
	"sync"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

// Terminal is stderr with a progress display. It is safe for concurrent use. The caller must close
// it.
type Terminal struct {
	mode  Mode
	names bool // before each step
	mask  func(string) string

	mu      sync.Mutex
	out     *lineWriter
	display *display // nil before the first message
	backlog backlog
	closed  bool
}

// Option adjusts a Terminal.
type Option func(*Terminal)

// WithNames writes the name of the build before each of its steps. By default steps have no name.
func WithNames() Option { return func(t *Terminal) { t.names = true } }

// WithMask sets the function that removes secrets from log lines. The default changes nothing.
func WithMask(mask func(string) string) Option { return func(t *Terminal) { t.mask = mask } }

// New prepares a Terminal on stderr. It fails if mode is [TTY] and stderr is not a terminal.
func New(stderr io.Writer, mode Mode, opts ...Option) (*Terminal, error) {
	mode, err := mode.resolve(stderr)
	if err != nil {
		return nil, err
	}
	t := &Terminal{mode: mode, out: &lineWriter{w: stderr},
		mask: func(s string) string { return s }}
	for _, o := range opts {
		o(t)
	}
	return t, nil
}

// Mode returns how progress is shown, which is not [Auto].
func (t *Terminal) Mode() Mode { return t.mode }

// Progress shows a status message of the build of name. It has the signature for
// pinion.WithProgress.
func (t *Terminal) Progress(name string, s *client.SolveStatus) {
	if t.mode == Quiet {
		return
	}
	if t.names {
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

// Stderr returns a writer for lines beside the display. Each Write must contain whole lines.
func (t *Terminal) Stderr() io.Writer { return screen{t: t, w: t.out, shared: true} }

// Stdout returns a writer for results. Writes wait for the display only if stdout is a terminal;
// the reader of a pipe gets them immediately. Each Write must contain whole lines.
func (t *Terminal) Stdout(stdout io.Writer) io.Writer {
	return screen{t: t, w: stdout, shared: t.mode == TTY && isTerminal(stdout)}
}

// Close ends the display and writes the backlog. It returns the first error of those writes. Later
// lines are written immediately, and later progress is discarded.
func (t *Terminal) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.display != nil {
		t.display.pause()
		t.display = nil
	}
	return t.backlog.release(t.out)
}

// clean masks and sanitizes a text from elsewhere.
func (t *Terminal) clean(s string) string { return termtext.Sanitize(t.mask(s)) }

// screen is a writer that respects the display.
type screen struct {
	t *Terminal
	w io.Writer
	// shared is set if the display is on the same screen.
	shared bool
}

func (s screen) Write(p []byte) (int, error) {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if d := s.t.display; d != nil && s.shared {
		if !d.pausable() {
			s.t.backlog.add(s.w, p)
			return len(p), nil
		}
		d.pause()
	}
	return writeLine(s.w, p)
}
