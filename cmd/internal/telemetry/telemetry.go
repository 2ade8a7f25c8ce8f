package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// closeTimeout is how long a program waits at its end for the last spans to be sent.
const closeTimeout = 3 * time.Second

// serviceName is the resource's unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has another.
const serviceName = "pinion"

// Provider makes spans and sends them. A nil Provider makes none.
type Provider struct {
	sdk      *sdktrace.TracerProvider
	exporter *carefulExporter
}

// FromEnv returns the provider that the environment asks for, or nil. It contacts nothing. clean
// makes a text fit to leave the program, and the log says once what cannot be sent, and why.
func FromEnv(
	lookup func(string) (string, bool), version string, clean func(string) string,
	log *slog.Logger,
) *Provider {
	p, err := choose(lookup)
	if p != none && err == nil {
		var provider *Provider
		if provider, err = start(p, version, clean, log); err == nil {
			return provider
		}
	}
	if err != nil {
		log.Warn(clean(fmt.Sprintf("no traces are sent: %v", err)))
	}
	return nil
}

func start(
	p protocol, version string, clean func(string) string, log *slog.Logger,
) (*Provider, error) {
	ctx := context.Background() // what uses it contacts nothing
	client := otlptracehttp.NewClient
	if p == overGRPC {
		client = func(...otlptracehttp.Option) otlptrace.Client { return otlptracegrpc.NewClient() }
	}
	exporter, err := otlptrace.New(ctx, client())
	if err != nil {
		return nil, err
	}
	of, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", serviceName),
		attribute.String("service.version", version),
	), resource.WithFromEnv())
	if of == nil { // a part that is wrong is left out
		return nil, err
	}
	careful := &carefulExporter{SpanExporter: exporter, clean: clean, log: log}
	return &Provider{sdktrace.NewTracerProvider(sdktrace.WithResource(of),
		sdktrace.WithBatcher(careful)), careful}, nil
}

// Tracers returns the provider for the library, nil for none.
func (p *Provider) Tracers() trace.TracerProvider {
	if p == nil {
		return nil
	}
	return p.sdk
}

// Close sends what has not been sent yet.
func (p *Provider) Close(ctx context.Context) {
	if p == nil {
		return
	}
	// An interrupt cancels ctx, and what it interrupted is to be seen.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := p.sdk.Shutdown(ctx); err != nil {
		p.exporter.report(err)
	}
}

// Environ returns the variables by which another program joins the trace of ctx, see [Parent].
func Environ(ctx context.Context) (env []string) {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	for name, value := range carrier {
		env = append(env, strings.ToUpper(name)+"="+value)
	}
	return env
}

// Parent returns ctx with the trace of the program that started this one, which passes it in
// TRACEPARENT and TRACESTATE, in the form of the headers of W3C's Trace Context.
// https://opentelemetry.io/docs/specs/otel/context/env-carriers/ has the names.
func Parent(ctx context.Context, lookup func(string) (string, bool)) context.Context {
	parent, ok := lookup("TRACEPARENT")
	if !ok {
		return ctx
	}
	state, _ := lookup("TRACESTATE")
	return propagation.TraceContext{}.Extract(ctx,
		propagation.MapCarrier{"traceparent": parent, "tracestate": state})
}
