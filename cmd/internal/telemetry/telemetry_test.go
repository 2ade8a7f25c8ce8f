package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/telemetry"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

const canary = "s3cr3t-canary"

func clean(text string) string { return strings.ReplaceAll(text, canary, "***") }

// bed is an environment, which OpenTelemetry's packages read themselves as well.
func bed(t *testing.T, pairs ...string) (lookup func(string) (string, bool), log *strings.Builder) {
	t.Helper()
	env := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
		t.Setenv(pairs[i], pairs[i+1])
	}
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		&strings.Builder{}
}

func fromEnv(t *testing.T, pairs ...string) (*telemetry.Provider, *strings.Builder) {
	t.Helper()
	lookup, log := bed(t, pairs...)
	return telemetry.FromEnv(lookup, "v1", clean, slog.New(slog.NewTextHandler(log, nil))), log
}

func TestWhatTheEnvironmentAsksFor(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, c := range []struct {
		env     []string
		on      bool
		warning string
	}{
		{nil, false, ""},
		{[]string{"OTEL_SERVICE_NAME", "x"}, false, ""},
		{[]string{endpoint, " "}, false, ""},
		{[]string{endpoint, "http://127.0.0.1:1"}, true, ""},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/x"}, true, ""},
		{[]string{"OTEL_TRACES_EXPORTER", "otlp"}, true, ""},
		{[]string{"OTEL_TRACES_EXPORTER", "console, otlp"}, true, ""},
		{[]string{endpoint, "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER", "none"}, false, ""},
		{[]string{endpoint, "http://127.0.0.1:1", "OTEL_SDK_DISABLED", "true"}, false, ""},
		{[]string{endpoint, "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, true, ""},
		{[]string{endpoint, "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
			false, "http/json"},
		{[]string{"OTEL_TRACES_EXPORTER", "zipkin"}, false, "zipkin"},
	} {
		t.Run(fmt.Sprint(c.env), func(t *testing.T) {
			p, log := fromEnv(t, c.env...)
			if on := p.Tracers() != nil; on != c.on ||
				(log.Len() > 0) != (c.warning != "") || !strings.Contains(log.String(), c.warning) {
				t.Errorf("traces: %t; the log: %s", on, log)
			}
			p.Close(t.Context())
		})
	}
}

func TestSpansArrive(t *testing.T) {
	c := partstest.Collector(t)
	for protocol, endpoint := range map[string]string{"http/protobuf": c.URL(), "grpc": c.GRPC()} {
		t.Run(protocol, func(t *testing.T) {
			before := len(c.Spans())
			p, log := fromEnv(t, "OTEL_EXPORTER_OTLP_ENDPOINT", endpoint,
				"OTEL_EXPORTER_OTLP_PROTOCOL", protocol, "OTEL_RESOURCE_ATTRIBUTES", "a=b",
				"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x")
			_, s := p.Tracers().Tracer("x").Start(t.Context(), "get "+canary)
			s.SetAttributes(attribute.String("url", "https://"+canary+"@host"),
				attribute.StringSlice("all", []string{"a", canary}), attribute.Int("n", 7))
			s.RecordError(errors.New("refused " + canary))
			s.SetStatus(codes.Error, "no "+canary)
			s.End()
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // as an interrupt does
			p.Close(ctx)
			spans := c.Spans()[before:]
			if len(spans) != 1 || spans[0].GetName() != "get ***" || spans[0].Service != "pinion" {
				t.Fatalf("got %+v; the log: %s", spans, log)
			}
			if text := fmt.Sprint(spans[0].Span); strings.Contains(text, canary) ||
				!strings.Contains(text, "https://***@host") || !strings.Contains(text, "no ***") {
				t.Errorf("a credential is in %s", text)
			}
		})
	}
	if h := c.Headers(); len(h) != 1 || h[0].Get("Authorization") != "Bearer x" {
		t.Errorf("the headers are %v", h)
	}
}

func TestServiceNameOfTheEnvironment(t *testing.T) {
	c := partstest.Collector(t)
	p, _ := fromEnv(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.URL()+"/v1/traces",
		"OTEL_SERVICE_NAME", "mine")
	_, s := p.Tracers().Tracer("x").Start(t.Context(), "one")
	s.End()
	p.Close(t.Context())
	if spans := c.Spans(); len(spans) != 1 || spans[0].Service != "mine" {
		t.Errorf("got %+v", spans)
	}
}

// TestACollectorThatIsDown costs one line in the log and little time.
func TestACollectorThatIsDown(t *testing.T) {
	hanging := make(chan struct{})
	addr := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		<-hanging
	}))
	defer addr.Close()
	defer close(hanging)
	for name, endpoint := range map[string]string{"closed": "http://127.0.0.1:1",
		"hangs": addr.URL} {
		t.Run(name, func(t *testing.T) {
			p, log := fromEnv(t, "OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
			begun := time.Now()
			for range 3 {
				_, s := p.Tracers().Tracer("x").Start(t.Context(), "one")
				s.End()
			}
			p.Close(t.Context())
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if n := strings.Count(log.String(), "traces cannot be sent"); n != 1 {
				t.Errorf("%d lines: %s", n, log)
			}
		})
	}
}

func TestParent(t *testing.T) {
	const header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for text, want := range map[string]bool{"": false, "nonsense": false, header: true} {
		lookup, _ := bed(t, "TRACEPARENT", text, "TRACESTATE", "a=b")
		of := trace.SpanContextFromContext(telemetry.Parent(t.Context(), lookup))
		if of.IsValid() != want || want && (of.SpanID().String() != "00f067aa0ba902b7" ||
			!of.IsRemote() || of.TraceState().Get("a") != "b") {
			t.Errorf("%q: %+v", text, of)
		}
	}
	if none := func(string) (string, bool) { return "", false }; telemetry.Parent(t.Context(),
		none) != t.Context() {
		t.Error("the context is another")
	}
}
