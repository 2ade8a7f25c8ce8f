package span_test

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"git.moleculesai.app/molecule-ai/pinion/internal/span"
)

// TestNothingIsPaid where no span is recorded: neither without a trace, nor in one of a caller who
// records nothing.
func TestNothingIsPaid(t *testing.T) {
	unsampled := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(
		trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	station := func(context.Context) error { return nil }
	for name, ctx := range map[string]context.Context{"none": t.Context(), "remote": unsampled} {
		n := testing.AllocsPerRun(100, func() {
			in, root := span.Root(ctx, nil, "ensure")
			in, s := span.Start(in, "look-up")
			s.Text("k", "v")
			s.Number("n", 1)
			s.Flag("f", true)
			s.Link(root)
			if s.In(in) != ctx {
				t.Error("the context is another")
			}
			_ = span.Do(in, "queue", station)
			s.End(errors.New("x")) //nolint:err113 // of the test
			root.End(nil)
		})
		if n > 1 { // the error
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestParents(t *testing.T) {
	var got tracetest.InMemoryExporter
	by := sdktrace.NewTracerProvider(sdktrace.WithSyncer(&got))
	ctx, root := span.Root(t.Context(), by, "ensure")
	broken := errors.New("broken")
	if err := span.Do(ctx, "queue", func(ctx context.Context) error {
		_, inner := span.Start(ctx, "inner")
		inner.Text("empty", "")
		inner.Text("key", "value")
		inner.End(nil)
		return broken
	}); !errors.Is(err, broken) {
		t.Error(err)
	}
	other, _ := span.Root(t.Context(), by, "other")
	_, last := span.Root(other, nil, "last")
	last.Link(root)
	_, in := span.Start(root.In(t.Context()), "again")
	in.End(nil)
	last.End(nil)
	root.End(nil)
	spans := map[string]tracetest.SpanStub{}
	for _, s := range got.GetSpans() {
		spans[s.Name] = s
	}
	id := func(name string) trace.SpanID { return spans[name].SpanContext.SpanID() }
	for child, parent := range map[string]trace.SpanID{"ensure": {}, "queue": id("ensure"),
		"inner": id("queue"), "again": id("ensure")} {
		if spans[child].Parent.SpanID() != parent || !spans[child].SpanContext.IsValid() {
			t.Errorf("the parent of %s is %v", child, spans[child].Parent)
		}
	}
	if s := spans["queue"].Status; s.Code != codes.Error || s.Description != "broken" {
		t.Errorf("the status is %+v", s)
	}
	if a := spans["inner"].Attributes; len(a) != 1 || a[0].Value.AsString() != "value" {
		t.Errorf("the attributes are %v", a)
	}
	if l := spans["last"].Links; len(l) != 1 || l[0].SpanContext.SpanID() != id("ensure") {
		t.Errorf("the links are %v", l)
	}
}
