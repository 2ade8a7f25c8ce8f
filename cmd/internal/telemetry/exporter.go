package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// carefulExporter removes credentials from spans before they are sent: clients of builders and
// engines put the texts of errors into theirs.
type carefulExporter struct {
	sdktrace.SpanExporter
	clean  func(string) string
	log    *slog.Logger
	failed atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter. It returns no error: OpenTelemetry would write it
// to stderr as it is.
func (e *carefulExporter) ExportSpans(
	ctx context.Context, spans []sdktrace.ReadOnlySpan,
) error {
	cleaned := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		cleaned[i] = cleanSpan{s, e.clean}
	}
	e.report(e.SpanExporter.ExportSpans(ctx, cleaned))
	return nil
}

// report logs the first of several failures in a row.
func (e *carefulExporter) report(err error) {
	if before := e.failed.Swap(err != nil); err != nil && !before {
		e.log.Warn(e.clean(fmt.Sprintf("traces cannot be sent: %v", err)))
	}
}

// cleanSpan is a span without credentials.
type cleanSpan struct {
	sdktrace.ReadOnlySpan
	clean func(string) string
}

// Name implements sdktrace.ReadOnlySpan.
func (s cleanSpan) Name() string { return s.clean(s.ReadOnlySpan.Name()) }

// Status implements sdktrace.ReadOnlySpan.
func (s cleanSpan) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = s.clean(status.Description)
	return status
}

// Attributes implements sdktrace.ReadOnlySpan.
func (s cleanSpan) Attributes() []attribute.KeyValue {
	return cleanAttributes(s.ReadOnlySpan.Attributes(), s.clean)
}

// Events implements sdktrace.ReadOnlySpan.
func (s cleanSpan) Events() []sdktrace.Event {
	var events []sdktrace.Event
	for _, e := range s.ReadOnlySpan.Events() {
		e.Name, e.Attributes = s.clean(e.Name), cleanAttributes(e.Attributes, s.clean)
		events = append(events, e)
	}
	return events
}

func cleanAttributes(all []attribute.KeyValue, clean func(string) string) []attribute.KeyValue {
	cleaned := make([]attribute.KeyValue, len(all))
	for i, a := range all {
		switch a.Value.Type() {
		case attribute.STRING:
			a = a.Key.String(clean(a.Value.AsString()))
		case attribute.STRINGSLICE:
			var texts []string
			for _, text := range a.Value.AsStringSlice() {
				texts = append(texts, clean(text))
			}
			a = a.Key.StringSlice(texts)
		}
		cleaned[i] = a
	}
	return cleaned
}
