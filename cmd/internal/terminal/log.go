package terminal

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/heartbeat"
)

// Logger returns a logger that writes records of at least that level to stderr as human-readable
// lines: without a time, with the level only for warnings, errors and debug lines, and with
// attributes only if level is debug. With [RawJSON] it writes slog's JSON, so that all of stderr is
// JSON.
func (t *Terminal) Logger(level slog.Level) *slog.Logger {
	if t.mode == RawJSON {
		return slog.New(slog.NewJSONHandler(t.Stderr(),
			&slog.HandlerOptions{Level: level, ReplaceAttr: t.cleanAttr}))
	}
	return slog.New(lines{t: t, w: t.Stderr(), level: level})
}

// cleanAttr has the signature of slog.HandlerOptions.ReplaceAttr.
func (t *Terminal) cleanAttr(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case string:
		a.Value = slog.StringValue(t.clean(v))
	case error:
		a.Value = slog.StringValue(t.clean(v.Error()))
	}
	return a
}

// lines is the handler of human-readable lines.
type lines struct {
	t     *Terminal
	w     io.Writer
	level slog.Level
	group string // with a trailing dot
	attrs string // formatted, with a space before each
}

// Enabled implements slog.Handler.
func (h lines) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// Handle implements slog.Handler.
func (h lines) Handle(_ context.Context, r slog.Record) error {
	if h.t.mode == TTY && repeatsDisplay(r) {
		return nil
	}
	text := r.Message
	if h.level <= slog.LevelDebug {
		text += h.attrs
		r.Attrs(func(a slog.Attr) bool {
			text += h.format(a)
			return true
		})
	}
	// The text after a newline must not look like another log line.
	text = strings.ReplaceAll(h.t.clean(text), "\n", "\n  ")
	_, err := io.WriteString(h.w, prefix(r.Level)+text+"\n")
	return err
}

// repeatsDisplay reports whether a display that redraws shows what the record says: the step that
// runs, and for how long.
func repeatsDisplay(r slog.Record) (repeats bool) {
	r.Attrs(func(a slog.Attr) bool {
		repeats = repeats || a.Key == heartbeat.LogKey
		return true
	})
	return repeats
}

// WithAttrs implements slog.Handler.
func (h lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.attrs += h.format(a)
	}
	return h
}

// WithGroup implements slog.Handler.
func (h lines) WithGroup(name string) slog.Handler {
	if name != "" {
		h.group += name + "."
	}
	return h
}

func (h lines) format(a slog.Attr) string {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		return fmt.Sprintf(" %s%s=%v", h.group, a.Key, v)
	}
	if a.Key != "" {
		h.group += a.Key + "."
	}
	var text strings.Builder
	for _, inner := range v.Group() {
		text.WriteString(h.format(inner))
	}
	return text.String()
}

func prefix(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "pinion: error: "
	case l >= slog.LevelWarn:
		return "pinion: warning: "
	case l >= slog.LevelInfo:
		return ""
	default:
		return "debug: "
	}
}
