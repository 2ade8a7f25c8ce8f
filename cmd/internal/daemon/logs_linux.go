package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// followInterval is the time between two reads of a log that is followed.
const followInterval = 200 * time.Millisecond

// Logs writes the last lines of the daemon's log, or the whole log if lines is negative. With
// follow it continues until ctx is cancelled, which is not an error.
func (m *Manager) Logs(ctx context.Context, w io.Writer, lines int, follow bool) error {
	err := m.logs(ctx, w, lines, follow)
	if follow && ctx.Err() != nil {
		return nil
	}
	return m.wrap(ctx, "logs", err)
}

func (m *Manager) logs(ctx context.Context, w io.Writer, lines int, follow bool) error {
	if err := m.locate(); err != nil {
		return err
	}
	f, err := os.Open(m.file(fileLog))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w, and there is no log yet (%s)", ErrNotRunning, m.file(fileLog))
	}
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	older, err := os.ReadFile(OldLog(m.file(fileLog)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	newer, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if _, err := w.Write(lastLines(append(older, newer...), lines)); err != nil || !follow {
		return err
	}
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		// A log that was rotated has been read to its end here.
		if next, err := m.rotated(f); err == nil && next != nil {
			f.Close()
			f = next
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// rotated opens the log again if its name refers to another file now. Otherwise it returns nil.
func (m *Manager) rotated(f *os.File) (*os.File, error) {
	before, err := f.Stat()
	if err != nil {
		return nil, err
	}
	now, err := os.Stat(m.file(fileLog))
	if err != nil || os.SameFile(before, now) {
		return nil, err
	}
	return os.Open(m.file(fileLog))
}

func lastLines(text []byte, n int) []byte {
	if n < 0 {
		return text
	}
	at := len(bytes.TrimSuffix(text, []byte("\n")))
	for ; n > 0; n-- {
		at = bytes.LastIndexByte(text[:at], '\n')
		if at < 0 {
			return text
		}
	}
	if at == len(text) {
		return nil
	}
	return text[at+1:]
}
