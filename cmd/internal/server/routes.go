package server

import (
	_ "embed"
	"net/http"
	"time"
)

// OpenAPI describes the interface, as YAML (OpenAPI 3.1).
//
//go:embed openapi.yaml
var OpenAPI []byte

// route is a method and path with what answers it.
type route struct {
	pattern string
	handle  http.HandlerFunc
	// open ones want no token.
	open bool
	// body that may come, in bytes; how many may be read at once, and how many answered after that.
	// nil is without limit.
	body    int64
	readers *readers
	places  slots
	// first is asked before the body is read; nil: nobody is.
	first func(r *http.Request) *problem
}

func (s *Server) routes() []route {
	return []route{
		{pattern: "GET /healthz", handle: s.health, open: true},
		{pattern: "GET /readyz", handle: s.readiness},
		{pattern: "GET /metrics", handle: s.showMetrics},
		{pattern: "GET /openapi.yaml", handle: s.describe},
		{pattern: "GET /v1/templates", handle: s.listTemplates},
		{pattern: "GET /v1/images", handle: s.listImages},
		{pattern: "POST /v1/images/{name}", handle: s.ensure, body: s.limits.bodyBytes},
		{pattern: "GET /v1/builds", handle: s.listBuilds},
		{pattern: "GET /v1/builds/{id}", handle: s.showBuild},
		{pattern: "DELETE /v1/builds/{id}", handle: s.withdraw},
		{pattern: "GET /v1/builds/{id}/events", handle: s.stream},
		{pattern: "POST /v1/hooks/gitea", handle: s.gitea, open: true, body: s.limits.hookBytes,
			readers: s.readers, places: s.hooks, first: s.maySign},
	}
}

// Handler answers all requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		handle := r.handle
		if r.places != nil {
			handle = s.atOnce(r.places, handle)
		}
		h := s.bounded(r.body, r.readers, handle)
		if r.first != nil {
			h = s.vetted(r.first, h)
		}
		if !r.open {
			h = s.authorized(h)
		}
		mux.Handle(r.pattern, h)
	}
	return s.watched(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, pattern := mux.Handler(r); pattern == "" {
			s.elsewhere(w, r, h)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// elsewhere answers what has no route, by what the mux would have said to it.
func (s *Server) elsewhere(w http.ResponseWriter, r *http.Request, h http.Handler) {
	said := &unsent{header: http.Header{}}
	h.ServeHTTP(said, r)
	allow := said.header.Get("Allow")
	switch {
	case allow == "":
		s.tell(w, r, refusal(http.StatusNotFound, "no-such-route", "There is nothing here",
			"openapi.yaml says what there is"))
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", allow+", OPTIONS")
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", allow+", OPTIONS")
		s.tell(w, r, refusal(http.StatusMethodNotAllowed, "method-not-allowed",
			"Not with this method", "allowed are "+allow))
	}
}

// unsent is an answer that is only looked at.
type unsent struct{ header http.Header }

// Header implements http.ResponseWriter.
func (u *unsent) Header() http.Header { return u.header }

// Write implements http.ResponseWriter.
func (u *unsent) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements http.ResponseWriter.
func (u *unsent) WriteHeader(int) {}

func (s *Server) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	// not on all connections
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.write))
	// the caller may have gone
	_, _ = w.Write(OpenAPI)
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, http.StatusOK, map[string]string{"status": "ok"})
}
