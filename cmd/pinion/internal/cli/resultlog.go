package cli

import (
	"context"
	"log/slog"

	"git.moleculesai.app/molecule-ai/pinion"
)

// withoutResults drops the library's log records whose text a verb shows with its results.
type withoutResults struct{ slog.Handler }

// Handle implements slog.Handler.
func (h withoutResults) Handle(ctx context.Context, r slog.Record) error {
	inResult := false
	r.Attrs(func(a slog.Attr) bool {
		inResult = a.Key == pinion.LogInResult
		return !inResult
	})
	if inResult {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h withoutResults) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withoutResults{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h withoutResults) WithGroup(name string) slog.Handler {
	return withoutResults{h.Handler.WithGroup(name)}
}
