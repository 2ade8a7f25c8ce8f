package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// wish is the body of a request for an image.
type wish struct {
	Revision    string `json:"revision"`
	AnyRevision bool   `json:"any_revision"`
	Pull        bool   `json:"pull"`
	NoCache     bool   `json:"no_cache"`
}

// readWish takes a body that is empty or one object of known members.
func readWish(r *http.Request) (wish, *problem) {
	var w wish
	text, err := io.ReadAll(r.Body)
	if err != nil || len(text) == 0 {
		return w, nil // it is in memory already, see bounded
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil ||
		kind != "application/json" {
		return w, refusal(http.StatusUnsupportedMediaType, "unsupported-media-type",
			"The body is not JSON", "send it as application/json")
	}
	if err := strictly(text, &w); err != nil {
		return w, badRequest("the body: " + err.Error())
	}
	if w.AnyRevision && w.Revision == "" {
		return w, badRequest("any_revision goes with revision")
	}
	return w, nil
}

func (w wish) options() (opts []pinion.EnsureOption, p *problem) {
	if w.Revision != "" {
		rev, err := git.ParseRevision(w.Revision)
		if err != nil {
			return nil, badRequest("revision: " + err.Error())
		}
		opts = append(opts, pinion.AtRevision(rev, w.AnyRevision))
	}
	if w.Pull {
		opts = append(opts, pinion.Pull())
	}
	if w.NoCache {
		opts = append(opts, pinion.NoCache())
	}
	return opts, nil
}

// ensure is the request for an image.
func (s *Server) ensure(w http.ResponseWriter, r *http.Request) {
	outcome, p := s.ensured(w, r)
	if p != nil {
		if outcome == "" {
			outcome = "refused"
		}
		s.tell(w, r, p)
	}
	note(w, outcome)
	s.metrics.request(outcome)
}

// ensured answers unless it returns a problem.
func (s *Server) ensured(w http.ResponseWriter, r *http.Request) (outcome string, p *problem) {
	wait, p := waits(r)
	if p != nil {
		return "", p
	}
	asked, p := readWish(r)
	if p != nil {
		return "", p
	}
	if asked.AnyRevision && !s.anyRevision {
		return "", refusal(http.StatusForbidden, "any-revision",
			"Only commits of the branch are built here",
			"leave out any_revision, or have the operator start the server with --allow-any-sha")
	}
	opts, p := asked.options()
	if p != nil {
		return "", p
	}
	if !s.door.enter() {
		return "", draining()
	}
	defer s.door.leave()
	if !s.interests.take() {
		return "", tooMany("callers that wait")
	}
	free := s.interests.free
	defer func() { free() }()
	ctx, cancel := s.patience(r)
	defer cancel()
	name := r.PathValue("name")
	begun := time.Now()
	c, err := s.orchestrator.Start(ctx, name, opts...)
	if err != nil {
		return s.notStarted(ctx, err)
	}
	s.asked(name)
	if !c.Hit() {
		s.builds.add(c, asked.Revision == "", begun)
		if !wait {
			free = func() {} // the ledger does
			s.accept(w, c)
			return "accepted", nil
		}
	}
	img, err := c.Wait(ctx)
	if err != nil {
		return s.notWaited(ctx, c, err)
	}
	s.answer(w, http.StatusOK, img)
	return string(img.Outcome), nil
}

func waits(r *http.Request) (bool, *problem) {
	v := r.URL.Query().Get("wait")
	if v == "" {
		return false, nil
	}
	wait, err := strconv.ParseBool(v)
	if err != nil {
		return false, badRequest("wait is true or false")
	}
	return wait, nil
}

// patience ends when the caller has gone, or when those who wait have to go.
func (s *Server) patience(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	go func() {
		select {
		case <-s.hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (s *Server) notStarted(ctx context.Context, err error) (string, *problem) {
	f := pinion.Failure{Message: err.Error(), Class: pinion.ClassOf(err)}
	var at *pinion.Error
	if errors.As(err, &at) {
		f.Origin = at.Origin
	}
	if ctx.Err() != nil {
		return s.left()
	}
	return "failed", failed(f)
}

// notWaited prefers what the build says of its failure: it is redacted and cleaned already.
func (s *Server) notWaited(ctx context.Context, c Call, err error) (string, *problem) {
	if ctx.Err() != nil {
		return s.left()
	}
	if f := c.Status().Failure; f != nil {
		return "failed", failed(*f)
	}
	return s.notStarted(ctx, err)
}

// left is what became of a caller who did not wait to the end. There is nobody to tell, unless the
// server is ending.
func (s *Server) left() (string, *problem) {
	select {
	case <-s.hurry:
		return "cancelled",
			failed(pinion.Failure{Message: "the server has ended before the build did",
				Class: pinion.ClassCancelled})
	default:
		return "cancelled", nil
	}
}

// accepted is the answer to a caller who does not wait. Interest is its right to withdraw.
type accepted struct {
	Schema   int                `json:"schema"`
	Build    pinion.BuildStatus `json:"build"`
	Interest string             `json:"interest"`
}

// accept keeps the caller's interest until it is withdrawn or the build has ended.
func (s *Server) accept(w http.ResponseWriter, c Call) {
	token := s.builds.hold(c, s.interests.free)
	w.Header().Set("Location", "/v1/builds/"+c.ID())
	s.answer(w, http.StatusAccepted, accepted{schema.Version, c.Status(), token})
}

func (s *Server) listImages(w http.ResponseWriter, r *http.Request) {
	list, err := s.orchestrator.List(r.Context())
	if err != nil {
		if _, p := s.notStarted(r.Context(), err); p != nil {
			s.tell(w, r, p)
		}
		return
	}
	if list == nil {
		list = []pinion.Built{}
	}
	s.answer(w, http.StatusOK, struct {
		Schema int            `json:"schema"`
		Images []pinion.Built `json:"images"`
	}{schema.Version, list})
}

func (s *Server) listTemplates(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, http.StatusOK, struct {
		Schema    int                 `json:"schema"`
		Templates []pinion.Resolution `json:"templates"`
	}{schema.Version, s.orchestrator.Templates()})
}

func (s *Server) readiness(w http.ResponseWriter, r *http.Request) {
	if s.door.closed() {
		s.tell(w, r, draining())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.limits.ready)
	defer cancel()
	if err := s.orchestrator.Ready(ctx); err != nil {
		s.tell(w, r, failed(pinion.Failure{Message: err.Error(), Class: pinion.ClassStore,
			Origin: pinion.OriginDocker}))
		return
	}
	s.answer(w, http.StatusOK, map[string]string{"status": "ready"})
}

// strictly decodes one value of known members and nothing behind it.
func strictly(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the object")
	}
	return nil
}
