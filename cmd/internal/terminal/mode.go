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
	// TTY redraws the screen.
	TTY Mode = "tty"
	// Quiet shows no progress.
	Quiet Mode = "quiet"
	// RawJSON writes each status message of BuildKit, and each log line, as a line of JSON.
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
	return "", fmt.Errorf("progress mode %q: the modes are %s", s, strings.Join(names, ", "))
}

// resolve replaces Auto by the mode that fits the writer.
func (m Mode) resolve(w io.Writer) (Mode, error) {
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
