package parts

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// CollectedSpan is a span that a [Collector] has received.
type CollectedSpan struct {
	*tracepb.Span
	// Service is the name of the program that sent it.
	Service string
}

// Collector receives spans by OTLP, in the form http/protobuf at URL and grpc at GRPC.
type Collector struct {
	collector.UnimplementedTraceServiceServer
	http *httptest.Server
	grpc *grpc.Server
	addr string

	mu      sync.Mutex
	spans   []CollectedSpan
	headers []http.Header
}

// StartCollector starts a collector on loopback.
func StartCollector() (*Collector, error) {
	c := &Collector{grpc: grpc.NewServer()}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.addr = listener.Addr().String()
	collector.RegisterTraceServiceServer(c.grpc, c)
	go func() { _ = c.grpc.Serve(listener) }()
	c.http = httptest.NewServer(http.HandlerFunc(c.receive))
	return c, nil
}

// URL is what OTEL_EXPORTER_OTLP_ENDPOINT takes for the protocol http/protobuf.
func (c *Collector) URL() string { return c.http.URL }

// GRPC is what it takes for the protocol grpc.
func (c *Collector) GRPC() string { return "http://" + c.addr }

// Spans returns what has come so far.
func (c *Collector) Spans() []CollectedSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Headers returns those of the requests over HTTP so far.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.headers)
}

// Close ends the collector.
func (c *Collector) Close() error {
	c.http.Close()
	c.grpc.Stop()
	return nil
}

func (c *Collector) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		body = unzipped(r, body)
	}
	var request collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		http.Error(w, "no traces in OTLP", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.headers = append(c.headers, r.Header.Clone())
	c.mu.Unlock()
	_, _ = c.Export(r.Context(), &request) // it has no error
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Export implements collector.TraceServiceServer.
func (c *Collector) Export(
	_ context.Context, request *collector.ExportTraceServiceRequest,
) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range request.GetResourceSpans() {
		var service string
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, CollectedSpan{s, service})
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// Path returns the names of a span and of what is above it, from the top down, as far as it has
// come.
func (c *Collector) Path(s CollectedSpan) (names []string) {
	byID := map[string]CollectedSpan{}
	for _, other := range c.Spans() {
		byID[string(other.GetSpanId())] = other
	}
	for range len(byID) {
		names = append(names, s.GetName())
		above, ok := byID[string(s.GetParentSpanId())]
		if !ok {
			break
		}
		s = above
	}
	slices.Reverse(names)
	return names
}
