package server

import (
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
)

// cancel stops a build for all of its callers.
func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	build, status, ok := s.builds.get(id)
	switch {
	case !ok:
		b, err := s.show(r.Context(), id)
		switch {
		case err != nil:
			s.writeProblem(w, r, noBuild(err))
		case b.IsRunning():
			s.writeProblem(w, r, refusal(http.StatusConflict, "not-ours",
				"Another process builds this", "cancel it where it runs"))
		default:
			s.writeProblem(w, r, endedAlready())
		}
	case !status.Ended.IsZero():
		s.writeProblem(w, r, endedAlready())
	default:
		s.log.Info("the build of " + status.Reference + " is cancelled on request of " +
			s.clean(askerOf(r, callerOf(r))))
		build.Cancel()
		w.WriteHeader(http.StatusNoContent)
	}
}

func endedAlready() *problem {
	return refusal(http.StatusConflict, "build-ended", "The build has ended",
		"only a build that runs can be stopped")
}

// retry asks again for the template of a build: for the head of the branch or of the pull request,
// or the commit that its caller had chosen. It repeats no other options.
func (s *Server) retry(w http.ResponseWriter, r *http.Request) {
	b, err := s.show(r.Context(), r.PathValue("id"))
	if err != nil {
		s.writeProblem(w, r, noBuild(err))
		return
	}
	var opts []pinion.EnsureOption
	switch {
	case b.Pinned && b.Revision.IsZero():
		s.writeProblem(w, r, refusal(http.StatusConflict, "working-tree",
			"A working tree cannot be built again", "only the machine that has it can build it"))
		return
	case b.Pinned:
		opts = append(opts, pinion.AtRevision(b.Revision, s.anyRevision))
	case b.PullRequest != 0:
		opts = append(opts, pinion.AtPullRequest(b.PullRequest))
	}
	outcome, p := s.start(w, r, b.Name, opts, !b.Pinned, 0)
	if p != nil {
		s.logRefusal(b.Name, p)
		s.writeProblem(w, r, p)
	}
	note(w, outcome)
}

// maxAsker bounds what a caller says of itself, in bytes.
const maxAsker = 64

// askerOf says who makes a request: the name of the caller's token if it has one, the program, as
// it calls itself, and the address.
func askerOf(r *http.Request, c *access.Caller) string {
	who := r.UserAgent()
	if who == "" {
		who = "a program without a name"
	}
	who = who[:min(len(who), maxAsker)]
	if from := addressOf(r); from != "" {
		who += " at " + from
	}
	if c.Name != "" {
		who = c.Name + " by " + who
	}
	return who
}
