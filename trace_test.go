package pinion

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// traced returns a provider and what it has recorded.
func traced() (trace.TracerProvider, *tracetest.InMemoryExporter) {
	got := tracetest.NewInMemoryExporter()
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(got)), got
}

// paths returns the spans as their names from the root down, in the order in which they ended.
func paths(spans tracetest.SpanStubs) (paths []string) {
	byID := map[trace.SpanID]tracetest.SpanStub{}
	for _, s := range spans {
		byID[s.SpanContext.SpanID()] = s
	}
	for _, s := range spans {
		path := s.Name
		for up, ok := byID[s.Parent.SpanID()]; ok; up, ok = byID[up.Parent.SpanID()] {
			path = up.Name + "/" + path
		}
		paths = append(paths, path)
	}
	return paths
}

func attributes(s tracetest.SpanStub) map[string]string {
	m := map[string]string{}
	for _, a := range s.Attributes {
		m[string(a.Key)] = a.Value.String()
	}
	return m
}

func TestSpansOfABuildAndAHit(t *testing.T) {
	by, got := traced()
	w, _ := savingWorld(t, WithTracerProvider(by))
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1},
		SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), remote)
	img, err := w.Ensure(ctx, "claude-code")
	if err != nil {
		t.Fatal(err)
	}
	w.close(t)
	spans := got.GetSpans()
	names := paths(spans)
	slices.Sort(names)
	if want := []string{"ensure", "ensure/build", "ensure/build/adopt", "ensure/build/connect",
		"ensure/build/lock", "ensure/build/queue", "ensure/build/record",
		"ensure/build/save cache", "ensure/build/verify", "ensure/look-up", "ensure/verify",
	}; !slices.Equal(names, want) {
		t.Errorf("got %q", names)
	}
	for _, s := range spans {
		if s.SpanContext.TraceID() != remote.TraceID() || s.Status.Code != codes.Unset ||
			s.EndTime.Before(s.StartTime) {
			t.Errorf("%s is wrong: %+v", s.Name, s)
		}
		if s.Name == "ensure" {
			a := attributes(s)
			if s.Parent.SpanID() != remote.SpanID() || !s.Parent.IsRemote() ||
				a["pinion.template"] != "claude-code" || a["pinion.outcome"] != "built" ||
				a["pinion.revision"] != shaA || a["pinion.reference"] != img.Reference {
				t.Errorf("the root has the parent %v and %v", s.Parent, a)
			}
		}
	}
	got.Reset()
	w.ensure(t)
	spans = got.GetSpans()
	if names := paths(spans); !slices.Equal(names, []string{"ensure/look-up", "ensure/verify",
		"ensure"}) {
		t.Errorf("a hit has %q", names)
	}
	if a := attributes(spans[len(spans)-1]); a["pinion.outcome"] != "hit" {
		t.Errorf("a hit has %v", a)
	}
}

// TestSpansOfTheCallersProvider: without a provider of its own, a call joins the trace of its
// context.
func TestSpansOfTheCallersProvider(t *testing.T) {
	by, got := traced()
	w := newWorld(t)
	ctx, above := by.Tracer("x").Start(t.Context(), "above")
	if _, err := w.Ensure(ctx, "claude-code"); err != nil {
		t.Fatal(err)
	}
	above.End()
	if names := paths(got.GetSpans()); !slices.Contains(names, "above/ensure/build/queue") {
		t.Errorf("got %q", names)
	}
	got.Reset()
	w.ensure(t)
	if n := len(got.GetSpans()); n > 0 {
		t.Errorf("%d spans of a call without a trace", n)
	}
}

func TestSpansOfFailures(t *testing.T) {
	by, got := traced()
	w := newWorld(t, WithTracerProvider(by))
	w.builder.wait = func(context.Context) error { return ErrBuild }
	if _, err := w.Ensure(t.Context(), "claude-code"); !errors.Is(err, ErrBuild) {
		t.Fatal(err)
	}
	if _, err := w.Ensure(t.Context(), "no such name"); err == nil {
		t.Fatal("no error")
	}
	failed := map[string]string{}
	for _, s := range got.GetSpans() {
		if s.Status.Code == codes.Error {
			failed[s.Name+" "+attributes(s)["pinion.template"]] = attributes(s)["pinion.class"]
		}
	}
	if len(failed) != 3 || failed["ensure claude-code"] != "build" ||
		failed["ensure no such name"] != "not-found" {
		t.Errorf("failed are %v", failed)
	}
}

// TestSpansOfASharedBuild: the call that joined has a link to the build, which is in the other
// call's trace.
func TestSpansOfASharedBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		by, got := traced()
		w := newWorld(t, WithTracerProvider(by))
		finish := make(chan struct{})
		w.builder.wait = func(context.Context) error { <-finish; return nil }
		first, errA := w.Start(t.Context(), "claude-code")
		late, errB := w.Start(t.Context(), "claude-code")
		leaver, errC := w.Start(t.Context(), "claude-code")
		if err := errors.Join(errA, errB, errC); err != nil {
			t.Fatal(err)
		}
		leaver.Leave()
		close(finish)
		_, errA = first.Wait(t.Context())
		_, errB = late.Wait(t.Context())
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		var build tracetest.SpanStub
		var linked, calls int
		for _, s := range got.GetSpans() {
			if s.Name == "build" {
				build = s
			}
		}
		for _, s := range got.GetSpans() {
			if s.Name == "ensure" {
				calls++
			}
			for _, l := range s.Links {
				if l.SpanContext.SpanID() != build.SpanContext.SpanID() {
					t.Errorf("a link to %v", l)
				}
				linked++
			}
		}
		if calls != 3 || linked != 2 {
			t.Errorf("%d calls, of which %d have a link", calls, linked)
		}
	})
}
