package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

// ensure answers a request for an image and counts its outcome.
func (s *Server) ensure(w http.ResponseWriter, r *http.Request) {
	outcome, p := s.ensureImage(w, r)
	var class pinion.Class
	if p != nil {
		if outcome == "" {
			outcome = "refused"
		}
		s.logRefusal(r.PathValue("name"), p)
		s.writeProblem(w, r, p)
		class = p.Class
	}
	note(w, outcome)
	s.metrics.countRequest(outcome, class)
}

// logRefusal logs a request for an image that came to nothing. The log has the failure of a build
// already.
func (s *Server) logRefusal(name string, p *problem) {
	if !p.ofBuild {
		s.log.Info(s.clean(fmt.Sprintf("request for %q: %d %s: %s", name, p.Status,
			p.Type[len(problemType):], p.Detail)))
	}
}

// ensureImage writes the response, unless it returns a problem. An empty outcome means refused.
func (s *Server) ensureImage(w http.ResponseWriter, r *http.Request) (outcome string, p *problem) {
	patience, p := s.patience(r)
	if p != nil {
		return "", p
	}
	req, p := readImageRequest(r)
	if p != nil {
		return "", p
	}
	if req.AnyRevision && !s.anyRevision {
		return "", refusal(http.StatusForbidden, "any-revision",
			"Only commits of the branch are allowed",
			"omit any_revision, or ask the operator to start the server with --allow-any-sha")
	}
	opts, p := req.options()
	if p != nil {
		return "", p
	}
	return s.start(w, r, r.PathValue("name"), opts, req.isHead(), patience)
}

// start looks for an image, joins or begins its build, and answers. head reports whether the
// request is for the branch's head, and patience is how long the caller waits.
func (s *Server) start(
	w http.ResponseWriter, r *http.Request, name string, opts []pinion.EnsureOption, head bool,
	patience time.Duration,
) (outcome string, p *problem) {
	opts = append(opts, pinion.AskedBy(s.clean(askerOf(r, callerOf(r)))))
	if !s.gate.enter() {
		return "", draining()
	}
	defer s.gate.leave()
	if !s.interests.take() {
		return "", tooMany("waiting callers")
	}
	place := &place{free: s.interests.free}
	defer place.end()
	ctx, cancel := s.waitContext(r)
	defer cancel()
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	begun := time.Now()
	c, err := s.orchestrator.Start(ctx, name, opts...)
	if s.metrics.countLookup(c, err); err != nil {
		return s.startFailure(ctx, err)
	}
	if c.Status().PullRequest == 0 {
		s.observer(name)
	}
	if c.Hit() {
		return s.result(ctx, w, c)
	}
	s.builds.add(c, head, begun)
	if patience == 0 {
		s.accept(w, c, place)
		return "accepted", nil
	}
	return s.waitFor(ctx, w, c, max(patience-time.Since(begun), 0), place)
}

// waitContext ends when the caller disconnects, or when the drain time is up.
func (s *Server) waitContext(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	go func() {
		select {
		case <-s.abort:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (s *Server) startFailure(ctx context.Context, err error) (string, *problem) {
	f := pinion.Failure{Message: err.Error(), Class: pinion.ClassOf(err)}
	var at *pinion.Error
	if errors.As(err, &at) {
		f.Origin = at.Origin
	}
	if ctx.Err() != nil {
		return s.callerGone()
	}
	return "failed", failureProblem(f).after(err)
}

// waitFailure prefers the failure in the build's status, which is redacted and sanitized.
func (s *Server) waitFailure(ctx context.Context, c Call, err error) (string, *problem) {
	if ctx.Err() != nil {
		return s.callerGone()
	}
	if f := c.Status().Failure; f != nil {
		p := failureProblem(*f).after(err)
		p.ofBuild = true
		return "failed", p
	}
	return s.startFailure(ctx, err)
}

// callerGone is the outcome of a caller that did not wait to the end. Only a caller that waits
// while the server ends gets a problem; any other has disconnected.
func (s *Server) callerGone() (string, *problem) {
	select {
	case <-s.abort:
		return "cancelled",
			failureProblem(pinion.Failure{Message: "the server ended before the build",
				Class: pinion.ClassCancelled})
	default:
		return "cancelled", nil
	}
}

// acceptance is the response to a caller that does not wait. The interest authorizes its
// withdrawal.
type acceptance struct {
	Schema   int                `json:"schema"`
	Build    pinion.BuildStatus `json:"build"`
	Interest string             `json:"interest"`
}

// accept holds the caller's interest until it is withdrawn or the build has ended.
func (s *Server) accept(w http.ResponseWriter, c Call, place *place) {
	token := s.builds.hold(c, place.keep())
	w.Header().Set("Location", "/v1/builds/"+c.ID())
	s.writeJSON(w, http.StatusAccepted, acceptance{schema.Version, c.Status(), token})
}

func (s *Server) listImages(w http.ResponseWriter, r *http.Request) {
	list, err := s.orchestrator.List(r.Context())
	if err != nil {
		s.writeFailure(w, r, err)
		return
	}
	list = slices.DeleteFunc(list, func(b pinion.Built) bool { return !callerOf(r).Sees(b.Name) })
	if list == nil {
		list = []pinion.Built{}
	}
	s.writeJSON(w, http.StatusOK, struct {
		Schema int            `json:"schema"`
		Images []pinion.Built `json:"images"`
	}{schema.Version, list})
}

// writeFailure writes the problem of a request that failed, unless its caller has left.
func (s *Server) writeFailure(w http.ResponseWriter, r *http.Request, err error) {
	if _, p := s.startFailure(r.Context(), err); p != nil {
		s.writeProblem(w, r, p)
	}
}
