package docker_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/moby/moby/client"
)

// TestTracesCostNothing: without a trace a request to the engine allocates no more than one of a
// client that knows nothing of traces, and the engine gets no header of them.
func TestTracesCostNothing(t *testing.T) {
	headers := ""
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers += r.Header.Get("Traceparent") + r.Header.Get("Tracestate")
		w.Header().Set("Api-Version", "1.47")
	}))
	t.Cleanup(engine.Close)
	host := "tcp://" + strings.TrimPrefix(engine.URL, "http://")
	ours := dial(t, host, nil).Client()
	// The hook is the same as in the engine's client, which allocates for it.
	plain, err := client.New(client.WithHost(host), client.WithUserAgent("pinion"),
		client.WithHTTPResponseHook(func(*http.Response) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	allocations := func(c *client.Client) float64 {
		return testing.AllocsPerRun(500, func() {
			if _, err := c.Ping(t.Context(), client.PingOptions{}); err != nil {
				t.Fatal(err)
			}
		})
	}
	with, without := allocations(ours), allocations(plain)
	t.Logf("%v allocations, and %v of a client that knows nothing of traces", with, without)
	if with > without+2 { // it is not the same number each time
		t.Errorf("%v allocations, want at most %v", with, without)
	}
	if headers != "" {
		t.Errorf("the engine gets %q", headers)
	}
}
