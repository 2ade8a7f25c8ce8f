// Package span marks the stations of a request as spans of a trace, by OpenTelemetry's API.
//
// It guarantees that a span is a child of the one in its context, made by the same provider, and
// that a station costs nothing if that one records nothing: no allocation, and no call of a
// provider. It sends nothing; the provider does.
package span

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of the instrumentation, by OpenTelemetry's convention that of the module.
const scope = "git.moleculesai.app/molecule-ai/pinion"

// Span is a station that is under way. The zero value records nothing.
type Span struct{ span trace.Span }

// Root begins the span of a request: a child of the one in ctx, or the first of a trace. It is made
// by the provider, or if that is nil like all others.
func Root(ctx context.Context, by trace.TracerProvider, name string) (context.Context, Span) {
	if by == nil {
		return Start(ctx, name)
	}
	return begin(ctx, by, name)
}

// Start begins the span of a station. The context is for all that belongs to it.
func Start(ctx context.Context, name string) (context.Context, Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Span{}
	}
	return begin(ctx, parent.TracerProvider(), name)
}

func begin(ctx context.Context, by trace.TracerProvider, name string) (context.Context, Span) {
	ctx, s := by.Tracer(scope).Start(ctx, name)
	return ctx, Span{s}
}

// Do runs a station that returns an error alone.
func Do(ctx context.Context, name string, station func(context.Context) error) error {
	ctx, s := Start(ctx, name)
	err := station(ctx)
	s.End(err)
	return err
}

// In returns ctx with the span as the parent of those to come.
func (s Span) In(ctx context.Context) context.Context {
	if s.span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.span)
}

// Text adds an attribute. An empty value is left out.
func (s Span) Text(key, value string) {
	if s.span != nil && value != "" {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// Number adds an attribute.
func (s Span) Number(key string, value int64) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// Flag adds an attribute that is true. A false one is left out.
func (s Span) Flag(key string, value bool) {
	if s.span != nil && value {
		s.span.SetAttributes(attribute.Bool(key, true))
	}
}

// Link says that the station waits for another, which may be of another trace.
func (s Span) Link(other Span) {
	if s.span != nil && other.span != nil {
		s.span.AddLink(trace.Link{SpanContext: other.span.SpanContext()})
	}
}

// End ends the station, with the error with which it failed or nil. Only the first call counts.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}

// Done is End for a deferred call: it reads the error at the end.
func (s Span) Done(err *error) { s.End(*err) }
