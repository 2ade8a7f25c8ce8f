package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
)

// WithToken requires a token as `Authorization: Bearer` in every request, except for /healthz,
// /readyz, the page's files and the webhooks, which are signed. Callers with this token may see and
// build everything. By default no token is required, and everybody may do everything.
func WithToken(token string) Option {
	return withCaller(access.NewCaller("", token, access.See, access.Build))
}

// WithOperatorToken adds a token with which callers may also cancel the builds of others and prune.
func WithOperatorToken(token string) Option {
	return withCaller(access.NewCaller("operators", token, access.Rights()...))
}

func withCaller(c *access.Caller) Option {
	return func(s *Server) { s.fixed = append(s.fixed, c) }
}

// WithCallers adds callers with tokens of their own. The function is called for each request, and
// must not block.
func WithCallers(list func() access.List) Option { return func(s *Server) { s.named = list } }

// callers returns who may use the server, nobody if everybody may.
func (s *Server) callers() access.List {
	if s.named == nil {
		return s.fixed
	}
	return append(s.fixed[:len(s.fixed):len(s.fixed)], s.named()...)
}

// hasToken reports whether the request is that of a program, which names its token itself.
func hasToken(r *http.Request) bool { return r.Header.Get("Authorization") != "" }

// identify returns who makes a request, nil for nobody that the server knows.
func (s *Server) identify(r *http.Request) *access.Caller {
	list := s.callers()
	if len(list) == 0 {
		return access.Everybody()
	}
	if hasToken(r) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "bearer") {
			return nil
		}
		return list.Find(token)
	}
	if session, ok := s.sessions.Of(r); ok {
		return list.Keyed(session.Caller)
	}
	return nil
}

// callerKey is the key of the caller in the context of a request.
type callerKey struct{}

// callerOf returns who makes a request that was admitted.
func callerOf(r *http.Request) *access.Caller {
	if c, ok := r.Context().Value(callerKey{}).(*access.Caller); ok {
		return c
	}
	return &access.Caller{}
}

// admit passes on the requests of callers that may make them.
func (s *Server) admit(to route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.identify(r)
		if p := s.refuse(r, c, to); p != nil {
			if p.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="pinion"`)
			}
			w.Header().Set("Connection", "close") // without reading a body
			s.writeProblem(w, r, p)
		} else {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
		}
		if c != nil && changes(r) {
			s.audit(w, r, c)
		}
	})
}

func changes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead
}

// audit logs who has changed something, or wanted to.
func (s *Server) audit(w http.ResponseWriter, r *http.Request, c *access.Caller) {
	status := 0
	if rec, ok := w.(*statusRecorder); ok {
		status = rec.status
	}
	s.log.Info(fmt.Sprintf("audit: %s: %s %s: %d", s.clean(askerOf(r, c)), r.Method,
		s.clean(r.URL.EscapedPath()), status))
}

// refuse returns why a caller may not make a request, or nil.
func (s *Server) refuse(r *http.Request, c *access.Caller, to route) *problem {
	if p := s.checkOrigin(r); p != nil {
		return p
	}
	if c == nil {
		return refusal(http.StatusUnauthorized, "unauthenticated", "A token is required",
			"send the server's token in the header Authorization: Bearer")
	}
	if session, ok := s.sessions.Of(r); ok && !hasToken(r) && session.Check(r) != nil {
		return forged()
	}
	name, id := r.PathValue("name"), r.PathValue("id")
	switch {
	case !c.Take():
		return refusal(http.StatusTooManyRequests, "too-many-requests", "Too many requests",
			"the token has a limit of requests per minute").later("5")
	case !c.May(to.right):
		return refusal(http.StatusForbidden, "not-allowed", "The token does not allow this",
			fmt.Sprintf("it has not the right to %s", to.right))
	case to.whole && !c.SeesAll():
		return refusal(http.StatusForbidden, "not-allowed", "The token does not allow this",
			"it is for some templates, and this is about the whole server")
	case name != "" && !c.Sees(name):
		return failureProblem(pinion.Failure{Class: pinion.ClassNotFound,
			Origin: pinion.OriginCatalogue, Message: "the token is not for this template"})
	case id != "" && !c.SeesAll():
		if b, err := s.show(r.Context(), id); err == nil && !c.Sees(b.Name) {
			return noBuild(history.ErrNotFound)
		}
	}
	return nil
}
