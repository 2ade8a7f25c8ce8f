package server

import (
	"context"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/flight"
)

// readyChecks shares one check of the image store between simultaneous probes, which need no token.
type readyChecks = flight.Group[struct{}, struct{}, struct{}]

// readiness reports whether the server accepts requests for images, and the image store answers.
// Why it does not is for callers with the token alone, since that names the store.
func (s *Server) readiness(w http.ResponseWriter, r *http.Request) {
	if s.gate.isClosed() {
		s.writeProblem(w, r, draining())
		return
	}
	err := s.isReady(r.Context())
	if err == nil {
		s.writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
		return
	}
	f := pinion.Failure{Message: err.Error(), Class: pinion.ClassStore, Origin: pinion.OriginDocker}
	if s.identify(r) == nil {
		f.Message = "a request with the server's token gets the reason"
	}
	s.writeProblem(w, r, failureProblem(f))
}

// isReady returns nil if the image store answers.
func (s *Server) isReady(ctx context.Context) error {
	_, err := s.ready.Do(ctx, struct{}{}, func(ctx context.Context) (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, s.limits.ready)
		defer cancel()
		return struct{}{}, s.orchestrator.Ready(ctx)
	})
	return err
}
