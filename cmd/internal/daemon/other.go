//go:build !linux

package daemon

import (
	"context"
	"io"
	"time"
)

// Ensure fails with [ErrUnsupported]. So does every other method.
func (m *Manager) Ensure(context.Context) (string, error) { return "", unsupported("start") }

// Status fails with [ErrUnsupported].
func (m *Manager) Status(context.Context) (Status, error) { return Status{}, unsupported("status") }

// Stop fails with [ErrUnsupported].
func (m *Manager) Stop(context.Context, time.Duration) (bool, error) {
	return false, unsupported("stop")
}

// Prune fails with [ErrUnsupported].
func (m *Manager) Prune(context.Context, Prune) (int64, error) { return 0, unsupported("prune") }

// Logs fails with [ErrUnsupported].
func (m *Manager) Logs(context.Context, io.Writer, int, bool) error { return unsupported("logs") }

// Exec fails with [ErrUnsupported].
func (m *Manager) Exec([]string) error { return unsupported("start") }

func unsupported(op string) error { return &Error{Op: op, Err: ErrUnsupported} }
