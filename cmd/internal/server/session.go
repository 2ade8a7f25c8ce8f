package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/page"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

// sessionState is what the page knows of its sign-in.
type sessionState struct {
	Schema   int    `json:"schema"`
	SignedIn bool   `json:"signed_in"`
	Operator bool   `json:"operator"`
	Form     string `json:"form,omitempty"`
	Version  string `json:"version,omitempty"`
}

// showSession says whether the caller may use the interface.
func (s *Server) showSession(w http.ResponseWriter, r *http.Request) {
	state := sessionState{Schema: schema.Version}
	if s.isAuthorized(r) {
		session, _ := s.sessions.Of(r)
		state.SignedIn, state.Operator = true, s.isOperator(r)
		state.Form, state.Version = session.Form, s.version
	}
	s.writeJSON(w, http.StatusOK, state)
}

// signIn begins the session of a browser whose user knows a token.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	var with struct {
		Token string `json:"token"`
	}
	if p := readObject(r, &with); p != nil {
		s.writeProblem(w, r, p)
		return
	}
	sum := sha256.Sum256([]byte(with.Token))
	is := func(digest *[sha256.Size]byte) bool {
		return digest != nil && subtle.ConstantTimeCompare(sum[:], digest[:]) == 1
	}
	operator := is(s.operator)
	if s.token != nil && !operator && !is(s.token) {
		s.writeProblem(w, r, refusal(http.StatusUnauthorized, "unauthenticated",
			"The token is wrong", "it is that of --token-file or --operator-token-file"))
		return
	}
	operator = operator || s.token == nil && s.operator == nil
	session := s.sessions.Open(w, r, operator)
	s.writeJSON(w, http.StatusOK, sessionState{schema.Version, true, operator, session.Form,
		s.version})
}

// signOut ends the session of a browser.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	s.sessions.Close(w, r)
	w.WriteHeader(http.StatusNoContent)
}

// checkOrigin refuses what a browser was made to send by another site's page.
func (s *Server) checkOrigin(r *http.Request) *problem {
	if page.CheckOrigin(r) == nil {
		return nil
	}
	return forged()
}

func forged() *problem {
	return refusal(http.StatusForbidden, "forged", "The request does not come from the page",
		"open the page again")
}
