package terminal

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/console"
	"github.com/moby/buildkit/util/progress/progressui"
)

// Mode is how BuildKit's progress is shown. The values are those of BUILDKIT_PROGRESS.
type Mode string

const (
	// Auto is TTY on a terminal and Plain elsewhere.
	Auto Mode = "auto"
	// Plain writes lines.
	Plain Mode = "plain"
	// TTY redraws the terminal.
	TTY Mode = "tty"
	// Quiet shows no progress.
	Quiet Mode = "quiet"
	// RawJSON writes each of BuildKit's status messages as one line of JSON, and log lines as JSON
	// too.
	RawJSON Mode = "rawjson"
)

// Modes lists the modes.
func Modes() []Mode { return []Mode{Auto, Plain, TTY, Quiet, RawJSON} }

// ParseMode reads a mode; the empty string is [Auto].
func ParseMode(s string) (Mode, error) {
	if s == "" {
		return Auto, nil
	}
	if m := Mode(s); slices.Contains(Modes(), m) {
		return m, nil
	}
	var names []string
	for _, m := range Modes() {
		names = append(names, string(m))
	}
	return "", fmt.Errorf("progress mode %q: choose one of %s", s, strings.Join(names, ", "))
}

// settle turns Auto into what fits the writer.
func (m Mode) settle(w io.Writer) (Mode, error) {
	switch {
	case m == TTY && !isTerminal(w):
		return m, fmt.Errorf("progress mode tty: stderr is not a terminal; use plain or auto")
	case m == Auto && isTerminal(w):
		return TTY, nil
	case m == Auto:
		return Plain, nil
	}
	return m, nil
}

func (m Mode) display() progressui.DisplayMode { return progressui.DisplayMode(m) }

func isTerminal(w io.Writer) bool {
	f, ok := w.(console.File)
	if !ok {
		return false
	}
	_, err := console.ConsoleFromFile(f)
	return err == nil
}
