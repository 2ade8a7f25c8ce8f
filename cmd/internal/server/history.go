package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
)

// History is the part of a [history.Dir] that the server uses.
type History interface {
	Take(ctx context.Context) error
	List(ctx context.Context, f history.Filter) ([]history.Build, error)
	Find(ctx context.Context, prefix string) (history.Build, error)
	Events(ctx context.Context, id string, follow bool) iter.Seq2[pinion.Event, error]
	Size(ctx context.Context) (history.Size, error)
}

// WithHistory adds what the history has to the builds of this server. The default is none: the
// server knows its own builds, and forgets all but the last.
func WithHistory(h History) Option { return func(s *Server) { s.history = h } }

// Limits of a list of builds.
const (
	defaultBuilds = 100
	maxBuilds     = 1000
)

// buildQuery has the parameters of a list of builds.
var buildQuery = []string{"name", "kind", "since", "before", "limit"}

// readFilter reads the query of a list of builds.
func readFilter(r *http.Request) (f history.Filter, p *problem) {
	q := r.URL.Query()
	f.Limit = defaultBuilds
	if names := q.Get("name"); names != "" {
		f.Names = strings.Split(names, ",")
	}
	if kinds := q.Get("kind"); kinds != "" {
		f.Kinds = strings.Split(kinds, ",")
	}
	for _, kind := range f.Kinds {
		if !slices.Contains(history.Kinds, kind) {
			return f, badRequest("kind: use some of " + history.KindList())
		}
	}
	if len(f.Kinds) == 0 {
		f.Kinds = history.Builds()
	}
	for name, to := range map[string]*time.Time{"since": &f.Since, "before": &f.Before} {
		if text := q.Get(name); text != "" {
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return f, badRequest(name + ": use a time such as 2026-03-04T05:06:07Z")
			}
			*to = at
		}
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxBuilds {
			return f, badRequest("limit: use a number from 1 to " + strconv.Itoa(maxBuilds))
		}
		f.Limit = n
	}
	return f, nil
}

// find returns the builds that a filter chooses: those of this server, and those of the history.
// What runs on this server is among them whatever the limit.
func (s *Server) find(ctx context.Context, f history.Filter) []history.Build {
	return s.join(f, s.past(ctx, f))
}

// join adds the builds of this server to those of the history.
func (s *Server) join(f history.Filter, past []history.Build) []history.Build {
	running, list, own := []history.Build{}, []history.Build{}, map[string]bool{}
	for _, status := range s.builds.list() {
		b := history.Build{BuildStatus: status, Command: "serve"}
		own[b.ID] = true
		switch {
		case !f.Wants(b):
		case b.IsRunning():
			running = append(running, b)
		default:
			list = append(list, b)
		}
	}
	for _, b := range past {
		if !own[b.ID] {
			list = append(list, b)
		}
	}
	history.SortNewestFirst(list)
	list = append(list[:min(len(list), max(f.Limit-len(running), 0))], running...)
	history.SortNewestFirst(list)
	return list
}

// past returns builds of the history, none if it cannot be read. That costs a line in the log.
func (s *Server) past(ctx context.Context, f history.Filter) []history.Build {
	if s.history == nil {
		return nil
	}
	list, err := s.history.List(ctx, f)
	if err != nil {
		s.log.Warn(fmt.Sprintf("the history of builds cannot be read: %v", err))
	}
	return list
}

// show returns one build. The error is history.ErrNotFound, or that of the history.
func (s *Server) show(ctx context.Context, id string) (history.Build, error) {
	if _, status, ok := s.builds.get(id); ok {
		return history.Build{BuildStatus: status, Command: "serve"}, nil
	}
	if s.history == nil {
		return history.Build{}, history.ErrNotFound
	}
	b, err := s.history.Find(ctx, id)
	if errors.Is(err, history.ErrAmbiguous) || err == nil && b.ID != id {
		err = history.ErrNotFound // the ID of a build is whole
	}
	return b, err
}

// noBuild is the problem of a build that show did not find.
func noBuild(err error) *problem {
	if errors.Is(err, history.ErrNotFound) {
		return refusal(http.StatusNotFound, "no-such-build", "There is no such build",
			"neither this server nor its history has one with that ID")
	}
	return refusal(http.StatusServiceUnavailable, "no-history",
		"The history of builds cannot be read", err.Error()).later("5")
}

// kept is a build of the history. Its events are read once.
type kept struct {
	history History
	id      string
}

// Events implements the part of Build that a stream needs.
func (k kept) Events(ctx context.Context, after int64) iter.Seq[pinion.Event] {
	return func(yield func(pinion.Event) bool) {
		for e, err := range k.history.Events(ctx, k.id, true) {
			if err != nil || e.ID > after && !yield(e) {
				return
			}
		}
	}
}

// source has the events of a build.
type source interface {
	Events(ctx context.Context, after int64) iter.Seq[pinion.Event]
}

// eventsOf returns the events of a build, and whether it has ended.
func (s *Server) eventsOf(ctx context.Context, id string) (_ source, ended bool, err error) {
	if b, status, ok := s.builds.get(id); ok {
		return b, !status.Ended.IsZero(), nil
	}
	b, err := s.show(ctx, id)
	return kept{s.history, id}, !b.IsRunning(), err
}
