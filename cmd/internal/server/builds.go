package server

import (
	"errors"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

// interestHeader carries the token that a 202 answer gave.
const interestHeader = "Pinion-Interest"

func (s *Server) listBuilds(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, http.StatusOK, struct {
		Schema int                  `json:"schema"`
		Builds []pinion.BuildStatus `json:"builds"`
	}{schema.Version, s.builds.list()})
}

func noBuild() *problem {
	return refusal(http.StatusNotFound, "no-such-build", "There is no such build",
		"builds are forgotten some time after they have ended")
}

func (s *Server) showBuild(w http.ResponseWriter, r *http.Request) {
	_, status, ok := s.builds.get(r.PathValue("id"))
	if !ok {
		s.tell(w, r, noBuild())
		return
	}
	s.answer(w, http.StatusOK, struct {
		Schema int `json:"schema"`
		pinion.BuildStatus
	}{schema.Version, status})
}

// withdraw is for callers who asked without waiting and don't want the image any more.
func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) {
	switch err := s.builds.withdraw(r.PathValue("id"), r.Header.Get(interestHeader)); {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, errNoBuild):
		s.tell(w, r, noBuild())
	case errors.Is(err, errBuildEnded):
		s.tell(w, r, refusal(http.StatusConflict, "build-ended", "The build has ended",
			"there is nothing to withdraw any more"))
	default:
		s.tell(w, r, refusal(http.StatusForbidden, "not-yours", "Not your interest",
			"send the header "+interestHeader+" with the interest that the answer to your "+
				"request gave"))
	}
}
