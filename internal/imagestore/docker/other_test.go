package docker_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// TestNoEngineForPinion: what answers is no Docker engine, or none that Pinion can use.
func TestNoEngineForPinion(t *testing.T) {
	server := func(t *testing.T, answer http.HandlerFunc) string {
		s := httptest.NewServer(answer)
		t.Cleanup(s.Close)
		return "tcp://" + s.Listener.Addr().String()
	}
	for name, c := range map[string]struct {
		start func(*testing.T) (host string)
		want  errdef.Situation
	}{
		"a web page": {func(t *testing.T) string {
			return server(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, "<html>Sign in</html>")
			})
		}, errdef.NotAnEngine},
		"a redirect": {func(t *testing.T) string {
			return server(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://other.invalid/", http.StatusMovedPermanently)
			})
		}, errdef.NotAnEngine},
		"Windows containers": {func(t *testing.T) string {
			fake := storetest.StartFake(t, imagestore.KindClassic, "1.45")
			fake.Handle("GET /info", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"OSType":"windows","ServerVersion":"26.0.0"}`)
			})
			return fake.Host()
		}, errdef.WindowsContainers},
		"Podman": {func(t *testing.T) string {
			fake := storetest.StartFake(t, imagestore.KindClassic, "1.41")
			fake.Handle("POST /grpc", http.NotFound)
			return fake.Host()
		}, errdef.EngineWithoutBuildKit},
	} {
		t.Run(name, func(t *testing.T) {
			e := dial(t, c.start(t), nil)
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
