package server

import (
	"errors"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

// interestHeader carries the interest of a 202 response.
const interestHeader = "Pinion-Interest"

func (s *Server) listBuilds(w http.ResponseWriter, r *http.Request) {
	f, p := readFilter(r)
	if p != nil {
		s.writeProblem(w, r, p)
		return
	}
	f.Only = callerOf(r).Templates
	if s.history != nil {
		_ = s.history.Take(r.Context()) // what cannot be moved is listed all the same
	}
	s.writeJSON(w, http.StatusOK, struct {
		Schema int             `json:"schema"`
		Builds []history.Build `json:"builds"`
	}{schema.Version, s.find(r.Context(), f)})
}

func (s *Server) showBuild(w http.ResponseWriter, r *http.Request) {
	b, err := s.show(r.Context(), r.PathValue("id"))
	if err != nil {
		s.writeProblem(w, r, noBuild(err))
		return
	}
	s.writeJSON(w, http.StatusOK, struct {
		Schema int `json:"schema"`
		history.Build
	}{schema.Version, b})
}

// withdraw ends the interest of a caller that did not wait for its build.
func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) {
	switch err := s.builds.withdraw(r.PathValue("id"), r.Header.Get(interestHeader)); {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, errNoBuild):
		s.writeProblem(w, r, noBuild(history.ErrNotFound))
	case errors.Is(err, errBuildEnded):
		s.writeProblem(w, r, endedAlready())
	default:
		s.writeProblem(w, r, refusal(http.StatusForbidden, "not-yours",
			"Not an interest in this build",
			"send the header "+interestHeader+" with the interest of your 202 response"))
	}
}
