package server

import (
	"errors"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

// interestHeader carries the interest of a 202 response.
const interestHeader = "Pinion-Interest"

func (s *Server) listBuilds(w http.ResponseWriter, _ *http.Request) {
	s.writeJSON(w, http.StatusOK, struct {
		Schema int                  `json:"schema"`
		Builds []pinion.BuildStatus `json:"builds"`
	}{schema.Version, s.builds.list()})
}

func noBuild() *problem {
	return refusal(http.StatusNotFound, "no-such-build", "There is no such build",
		"the server remembers only the builds that ended last")
}

func (s *Server) showBuild(w http.ResponseWriter, r *http.Request) {
	_, status, ok := s.builds.get(r.PathValue("id"))
	if !ok {
		s.writeProblem(w, r, noBuild())
		return
	}
	s.writeJSON(w, http.StatusOK, struct {
		Schema int `json:"schema"`
		pinion.BuildStatus
	}{schema.Version, status})
}

// withdraw ends the interest of a caller that did not wait for its build.
func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) {
	switch err := s.builds.withdraw(r.PathValue("id"), r.Header.Get(interestHeader)); {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, errNoBuild):
		s.writeProblem(w, r, noBuild())
	case errors.Is(err, errBuildEnded):
		s.writeProblem(w, r, refusal(http.StatusConflict, "build-ended", "The build has ended",
			"an interest can be withdrawn only before the build ends"))
	default:
		s.writeProblem(w, r, refusal(http.StatusForbidden, "not-yours",
			"Not an interest in this build",
			"send the header "+interestHeader+" with the interest of your 202 response"))
	}
}
