package server

import (
	"fmt"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/page"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

// sessionState is what the page knows of its sign-in.
type sessionState struct {
	Schema   int            `json:"schema"`
	SignedIn bool           `json:"signed_in"`
	Name     string         `json:"name,omitempty"`
	Rights   []access.Right `json:"rights"`
	// Whole reports whether the caller may use all templates.
	Whole   bool   `json:"whole"`
	Form    string `json:"form,omitempty"`
	Version string `json:"version,omitempty"`
}

// stateOf is the state of a caller, which may be nobody.
func (s *Server) stateOf(c *access.Caller, session page.Session) sessionState {
	if c == nil {
		return sessionState{Schema: schema.Version, Rights: []access.Right{}}
	}
	return sessionState{schema.Version, true, c.Name, c.Rights, c.SeesAll(), session.Form,
		s.version}
}

// showSession says what the caller may do.
func (s *Server) showSession(w http.ResponseWriter, r *http.Request) {
	session, _ := s.sessions.Of(r)
	s.writeJSON(w, http.StatusOK, s.stateOf(s.identify(r), session))
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
	list := s.callers()
	c := list.Find(with.Token)
	switch {
	case len(list) == 0:
		c = access.Everybody()
	case c == nil:
		s.writeProblem(w, r, refusal(http.StatusUnauthorized, "unauthenticated",
			"The token is wrong", "it is one of those that the server was started with"))
		return
	}
	session := s.sessions.Open(w, r, c.Key())
	s.log.Info(fmt.Sprintf("audit: %s: signed in", s.clean(askerOf(r, c))))
	s.writeJSON(w, http.StatusOK, s.stateOf(c, session))
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
