package server

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// PullRequestEvent is what a webhook says of a pull request. The sender has the secret, so its word
// counts for whose the pull request is. What its head is, the git server says.
type PullRequestEvent struct {
	Repository string // owner/name of the one that it is for
	Number     int
	// Closed reports whether it was closed or merged. Otherwise it was opened, or has a new head.
	Closed bool
	// Head is the commit that the event is about, zero for one that is closed.
	Head git.Revision
	// Base is the branch that it is for, and DefaultBranch that of the repository, "" if the event
	// does not say.
	Base, DefaultBranch string
	Origin              resolver.Origin
}

// PullRequestAnswer is what follows from an event.
type PullRequestAnswer struct {
	// Known reports whether the catalogue has the repository.
	Known bool
	// Templates are those whose images are looked for, or may be removed.
	Templates []string
	// Refused says for other templates why nothing is built, human-readable.
	Refused []string
}

// PullRequestFunc handles an event. It must not block.
type PullRequestFunc func(PullRequestEvent) PullRequestAnswer

// WithPullRequests calls a function for each webhook about a pull request. By default they are
// answered and ignored.
func WithPullRequests(f PullRequestFunc) Option { return func(s *Server) { s.pulls = f } }

// pullRequest handles an event of a pull request.
func (s *Server) pullRequest(w http.ResponseWriter, r *http.Request, f hookForge, event []byte) {
	e, err := f.readPull(event, r.Header.Get(f.event))
	switch {
	case errors.Is(err, errNoChange):
		w.WriteHeader(http.StatusNoContent)
		return
	case err != nil:
		s.writeProblem(w, r, badRequest(err.Error()))
		return
	}
	a := s.pulls(e)
	what := fmt.Sprintf("webhook: pull request %d of %s", e.Number, s.clean(e.Repository))
	for _, reason := range a.Refused {
		s.log.Info(s.clean(what + ": " + reason))
	}
	switch {
	case !a.Known:
		s.writeProblem(w, r, notInCatalogue(s.clean(e.Repository)))
		return
	case len(a.Templates)+len(a.Refused) == 0:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	status := http.StatusOK
	if len(a.Templates) > 0 {
		status = http.StatusAccepted
		doing := ": looking up "
		if e.Closed {
			doing = " was closed, and its images can be removed: "
		}
		s.log.Info(what + doing + strings.Join(a.Templates, ", "))
	}
	answer := struct {
		Schema    int      `json:"schema"`
		Templates []string `json:"templates"`
		Refused   []string `json:"refused,omitempty"`
	}{schema.Version, append([]string{}, a.Templates...), nil}
	for _, reason := range a.Refused {
		answer.Refused = append(answer.Refused, s.clean(reason))
	}
	s.writeJSON(w, status, answer)
}

// isPull reports whether a request is about a pull request.
func (f hookForge) isPull(r *http.Request) bool {
	return slices.Contains(f.pulls, r.Header.Get(f.event))
}

var (
	errNoPull = errors.New("the event is not one of a pull request")
	// errNoChange: the event changes neither the head of a pull request nor whether it is open.
	errNoChange = errors.New("the event changes nothing here")
)

// checked returns an event that says what it is about.
func (e PullRequestEvent) checked(head string) (PullRequestEvent, error) {
	if _, err := git.PullRequest(e.Number); err != nil || e.Repository == "" {
		return e, errNoPull
	}
	if e.Closed {
		return e, nil
	}
	var err error
	if e.Head, err = git.ParseRevision(head); err != nil || e.Base == "" {
		return e, errNoPull
	}
	return e, nil
}
