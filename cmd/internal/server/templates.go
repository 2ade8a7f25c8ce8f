package server

import (
	"net/http"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func (s *Server) listTemplates(w http.ResponseWriter, r *http.Request) {
	list := slices.DeleteFunc(s.orchestrator.Templates(),
		func(t pinion.Resolution) bool { return !callerOf(r).Sees(t.Name) })
	s.writeJSON(w, http.StatusOK, struct {
		Schema    int                 `json:"schema"`
		Templates []pinion.Resolution `json:"templates"`
	}{schema.Version, list})
}

// showTemplate asks the git server for the head of a template's branch, and for the commits that a
// given one lacks.
func (s *Server) showTemplate(w http.ResponseWriter, r *http.Request) {
	var since git.Revision
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = git.ParseRevision(text); err != nil {
			s.writeProblem(w, r, badRequest("since: "+err.Error()))
			return
		}
	}
	if !s.interests.take() {
		s.writeProblem(w, r, tooMany("waiting callers"))
		return
	}
	defer s.interests.free()
	b, err := s.orchestrator.Behind(r.Context(), r.PathValue("name"), since)
	if err != nil {
		s.writeFailure(w, r, err)
		return
	}
	for i, c := range b.Commits {
		b.Commits[i].Subject, b.Commits[i].Author = s.clean(c.Subject), s.clean(c.Author)
	}
	s.writeJSON(w, http.StatusOK, struct {
		Schema int `json:"schema"`
		pinion.Behind
	}{schema.Version, b})
}
