package server

import (
	_ "embed"
	"net/http"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/page"
)

// OpenAPI is the description of the interface, in YAML (OpenAPI 3.1).
//
//go:embed openapi.yaml
var OpenAPI []byte

// route is a method and path with its handler.
type route struct {
	pattern string
	handle  http.HandlerFunc
	// public routes require no token, and ignore the query.
	public bool
	// right is what the caller must have. whole routes are for callers of all templates.
	right access.Right
	whole bool
	// query has the parameters of the query.
	query []string
	// maxBody is the bound of the body, in bytes.
	maxBody int64
	// readers bounds the concurrent reads of bodies, and slots the concurrent calls of handle after
	// that. nil means no limit.
	readers *readers
	slots   slots
	// check refuses requests before the body is read. nil refuses none.
	check func(r *http.Request) *problem
}

func (s *Server) routes() []route {
	all := []route{
		{pattern: "GET /healthz", handle: s.health, public: true},
		{pattern: "GET /readyz", handle: s.readiness, public: true},
		{pattern: "GET /metrics", handle: s.showMetrics, whole: true},
		{pattern: "GET /openapi.yaml", handle: s.describe},
		{pattern: "GET /v1/session", handle: s.showSession, public: true},
		{pattern: "POST /v1/session", handle: s.signIn, public: true,
			maxBody: s.limits.bodyBytes, readers: s.readers, check: s.checkOrigin},
		{pattern: "DELETE /v1/session", handle: s.signOut},
		{pattern: "GET /v1/activity", handle: s.showActivity},
		{pattern: "GET /v1/doctor", handle: s.examine, whole: true,
			slots: s.surveys},
		{pattern: "GET /v1/usage", handle: s.showUsage, whole: true,
			slots: s.surveys},
		{pattern: "POST /v1/prune", handle: s.prune, maxBody: s.limits.bodyBytes,
			slots: s.surveys, right: access.Prune, whole: true},
		{pattern: "GET /v1/templates", handle: s.listTemplates},
		{pattern: "GET /v1/templates/{name}", handle: s.showTemplate, query: []string{"since"}},
		{pattern: "GET /v1/images", handle: s.listImages},
		{pattern: "POST /v1/images/{name}", handle: s.ensure, query: []string{"wait"},
			maxBody: s.limits.bodyBytes, right: access.Build},
		{pattern: "GET /v1/builds", handle: s.listBuilds, query: buildQuery},
		{pattern: "GET /v1/builds/{id}", handle: s.showBuild},
		{pattern: "DELETE /v1/builds/{id}", handle: s.withdraw, right: access.Build},
		{pattern: "GET /v1/builds/{id}/events", handle: s.stream},
		{pattern: "POST /v1/builds/{id}/cancel", handle: s.cancel, right: access.Cancel},
		{pattern: "POST /v1/builds/{id}/retry", handle: s.retry, right: access.Build},
	}
	for _, f := range hookForges() {
		all = append(all, route{pattern: "POST /v1/hooks/" + f.name, handle: s.receive(f),
			public: true, maxBody: s.limits.hookBytes, readers: s.readers, slots: s.hooks,
			check: s.checkWebhook(f)})
	}
	return all
}

// Handler returns the handler of all requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		handle := r.handle
		if r.slots != nil {
			handle = s.limit(r.slots, handle)
		}
		h := s.bufferBody(r.maxBody, r.readers, handle)
		if r.check != nil {
			h = s.precheck(r.check, h)
		}
		if r.right == "" {
			r.right = access.See
		}
		if !r.public {
			h = s.admit(r, s.checkQuery(r.query, h))
		}
		mux.Handle(r.pattern, h)
	}
	files := s.bufferBody(0, nil, page.Handler().ServeHTTP)
	for _, pattern := range []string{"GET /{$}", "GET " + page.Dir} {
		mux.Handle(pattern, files)
	}
	return s.observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, pattern := mux.Handler(r); pattern == "" {
			s.noRoute(w, r, h)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// noRoute answers a request without a route. The mux's own handler determines the allowed methods.
func (s *Server) noRoute(w http.ResponseWriter, r *http.Request, h http.Handler) {
	probe := &headerRecorder{header: http.Header{}}
	h.ServeHTTP(probe, r)
	allow := probe.header.Get("Allow")
	switch {
	case allow == "":
		s.writeProblem(w, r, refusal(http.StatusNotFound, "no-such-route", "There is no such route",
			"/openapi.yaml lists the routes"))
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", allow+", OPTIONS")
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", allow+", OPTIONS")
		s.writeProblem(w, r, refusal(http.StatusMethodNotAllowed, "method-not-allowed",
			"The method is not allowed", "allowed methods: "+allow))
	}
}

// headerRecorder keeps the header of a response and discards the rest.
type headerRecorder struct{ header http.Header }

// Header implements http.ResponseWriter.
func (u *headerRecorder) Header() http.Header { return u.header }

// Write implements http.ResponseWriter.
func (u *headerRecorder) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements http.ResponseWriter.
func (u *headerRecorder) WriteHeader(int) {}

func (s *Server) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	// best effort
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.write))
	_, _ = w.Write(OpenAPI) // the caller may have disconnected
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	s.writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}
