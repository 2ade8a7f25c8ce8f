package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// impatientProxy is a proxy that ends a request after that time without an answer, and the server's
// address behind it.
func impatientProxy(t *testing.T, srv *serveClient, patience time.Duration) *serveClient {
	t.Helper()
	target, err := url.Parse(srv.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	transport := &http.Transport{ResponseHeaderTimeout: patience}
	proxy.Transport = transport
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.WriteHeader(http.StatusGatewayTimeout)
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(func() {
		front.Close()
		transport.CloseIdleConnections()
	})
	return &serveClient{client: front.Client(), url: front.URL, header: srv.header}
}

// TestWaitBehindAProxy: a build that takes longer than the proxy waits is made once, whether the
// proxy cuts off the callers or they ask for less time.
func TestWaitBehindAProxy(t *testing.T) {
	s := newScene(t, containerdOwn)
	gate := newBuildGate(t)
	_, sha := s.prepare(t, gate.add())
	_, srv := s.serveOnPort(t)
	proxied := impatientProxy(t, srv, 300*time.Millisecond)
	for range 3 {
		if r := proxied.ensure(t.Context()); r.status != http.StatusGatewayTimeout {
			t.Fatalf("the proxy answers %d: %v %s", r.status, r.err, r.text)
		}
	}
	receive(t, "the build", gate.arrived)
	image := "/v1/images/" + runtime + "?wait=50ms"
	got := want[accepted](t, proxied.ask(t.Context(), "POST", image, ""), 202)
	gate.open()
	events, err := proxied.events(t.Context(), got.Build.ID)
	if n := len(events); err != nil || n == 0 || events[n-1].Type != pinion.EventDone {
		t.Errorf("%d events, %v", n, err)
	}
	img := want[pinion.Image](t, proxied.ensure(t.Context()), 200)
	if img.Revision.String() != sha || len(srv.builds(t)) != 1 {
		t.Errorf("%+v after %d builds", img, len(srv.builds(t)))
	}
}
