package terminal

import (
	"bytes"
	"fmt"
	"io"
)

// maxLogs bounds the log lines in a backlog. Results are few, and none is dropped.
const maxLogs = 1000

// backlog holds writes, in order, until the display ends.
type backlog struct {
	items   []item
	logs    int
	dropped int
}

type item struct {
	w    io.Writer
	text []byte
}

func (b *backlog) add(w io.Writer, text []byte) {
	if _, log := w.(*lineWriter); log {
		if b.logs == maxLogs {
			b.dropped++
			return
		}
		b.logs++
	}
	b.items = append(b.items, item{w, bytes.Clone(text)})
}

func (b *backlog) release(log *lineWriter) error {
	var first error
	for _, i := range b.items {
		if _, err := writeLine(i.w, i.text); err != nil && first == nil {
			first = err
		}
	}
	if b.dropped > 0 {
		fmt.Fprintf(log, "(%d more lines omitted)\n", b.dropped)
	}
	*b = backlog{}
	return first
}

// lineWriter records whether the last line is complete: a step may print half a line and pause.
type lineWriter struct {
	w       io.Writer
	midLine bool
}

func (l *lineWriter) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.midLine = p[len(p)-1] != '\n'
	}
	return l.w.Write(p)
}

// writeLine completes an open line before it writes.
func writeLine(w io.Writer, p []byte) (int, error) {
	if l, ok := w.(*lineWriter); ok && l.midLine {
		if _, err := l.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
	}
	return w.Write(p)
}
