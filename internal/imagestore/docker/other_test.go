package docker_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// TestNoEngineForPinion: what answers is no Docker engine, or none that Pinion can use.
func TestNoEngineForPinion(t *testing.T) {
	engine := func(info string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Api-Version", "1.45")
			w.Header().Set("Content-Type", "application/json")
			switch {
			case strings.HasSuffix(r.URL.Path, "/_ping"):
			case strings.HasSuffix(r.URL.Path, "/info"):
				_, _ = io.WriteString(w, info)
			default:
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, `{"message":"Not Found"}`)
			}
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   errdef.Situation
	}{
		"a web page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>Sign in</html>")
		}, errdef.NotAnEngine},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://other.invalid/", http.StatusMovedPermanently)
		}, errdef.NotAnEngine},
		"Windows containers": {engine(`{"OSType":"windows","ServerVersion":"26.0.0"}`),
			errdef.WindowsContainers},
		"Podman": {engine(`{"OSType":"linux","ServerVersion":"5.0.0"}`),
			errdef.EngineWithoutBuildKit},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			e := dial(t, "tcp://"+server.Listener.Addr().String(), nil)
			_, err := e.Info(t.Context())
			if err == nil {
				_, err = e.DialHijack(t.Context(), "/grpc", "h2c", nil)
			}
			typed, ok := errors.AsType[*imagestore.Error](err)
			if !ok || typed.Origin != imagestore.OriginDocker {
				t.Fatalf("error %v", err)
			}
			if got, _ := errdef.SituationOf(err); got != c.want {
				t.Errorf("%v: situation %q, want %q", err, got, c.want)
			}
		})
	}
}
