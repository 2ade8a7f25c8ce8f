package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// stream sends a build's events as server-sent events (HTML standard, section 9.2) until the build
// ends. It starts at the oldest available event, or after the one in Last-Event-ID. A reader that
// reconnects with all events of an ended build gets 204, which makes a browser's EventSource stop.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	build, ended, err := s.eventsOf(r.Context(), r.PathValue("id"))
	if err != nil {
		s.writeProblem(w, r, noBuild(err))
		return
	}
	after, err := lastEventID(r)
	if err != nil {
		s.writeProblem(w, r, badRequest("Last-Event-ID must be the id of an event"))
		return
	}
	if !s.streams.take() {
		s.writeProblem(w, r, tooMany("event streams"))
		return
	}
	defer s.streams.free()
	if ended && !hasMore(r.Context(), build, after) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	out := s.openStream(w)
	if r.Method == http.MethodHead {
		return
	}
	if out.send(": events of a build") != nil {
		return
	}
	s.forward(r, out, build, after)
}

// openStream begins a response of server-sent events.
func (s *Server) openStream(w http.ResponseWriter) *sender {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return &sender{w, http.NewResponseController(w), s.limits.write}
}

func lastEventID(r *http.Request) (int64, error) {
	v := r.Header.Get("Last-Event-ID")
	if v == "" {
		return 0, nil
	}
	id, err := strconv.ParseInt(v, 10, 64)
	if err != nil || id < 0 {
		return 0, strconv.ErrSyntax
	}
	return id, nil
}

// hasMore reports whether a build that has ended has events after that ID.
func hasMore(ctx context.Context, b source, after int64) bool {
	for range b.Events(ctx, after) {
		return true
	}
	return false
}

// forward sends events until there are no more or the reader stops reading.
func (s *Server) forward(r *http.Request, out *sender, b source, after int64) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	events := toChannel(ctx, b.Events(ctx, after))
	beat := time.NewTicker(s.limits.heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			err = out.event(e)
		case <-beat.C:
			if s.identify(r) == nil {
				return // the session has ended
			}
			err = out.send(":")
		}
		if err != nil {
			return
		}
	}
}

// toChannel sends the events of a sequence on a channel, for select. It closes the channel when the
// sequence or ctx ends.
func toChannel(ctx context.Context, events iter.Seq[pinion.Event]) <-chan pinion.Event {
	c := make(chan pinion.Event)
	go func() {
		defer close(c)
		for e := range events {
			select {
			case c <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// sender writes to a reader that must accept each message within the timeout.
type sender struct {
	w       io.Writer
	control *http.ResponseController
	timeout time.Duration
}

func (o *sender) event(e pinion.Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return o.send(fmt.Sprintf("id: %d\nevent: %s\ndata: %s", e.ID, e.Type, data))
}

func (o *sender) send(text string) error {
	_ = o.control.SetWriteDeadline(time.Now().Add(o.timeout)) // best effort
	if _, err := io.WriteString(o.w, text+"\n\n"); err != nil {
		return err
	}
	return o.control.Flush()
}
