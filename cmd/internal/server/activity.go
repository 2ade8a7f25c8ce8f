package server

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

const (
	// activityPause is the time between two looks at the builds of this server, and historyPause
	// that between two looks at those of others.
	activityPause, historyPause = 500 * time.Millisecond, 5 * time.Second
	// recentBuilds is how many builds the activity has, unless more are running.
	recentBuilds = 25
)

// activity has what readers of the newest builds see, by the templates that they may see. Readers
// with the same templates share it.
type activity struct {
	mu    sync.Mutex
	views map[string]*view
}

// view has the newest builds of some templates.
type view struct {
	read time.Time
	text string // builds as JSON
	// past are the newest builds of the history, as they were at the time pastRead.
	past     []history.Build
	pastRead time.Time
}

// showActivity sends what runs, what waits and what has ended last as server-sent events: the whole
// list at once, and again whenever it has changed.
func (s *Server) showActivity(w http.ResponseWriter, r *http.Request) {
	if !s.streams.take() {
		s.writeProblem(w, r, tooMany("event streams"))
		return
	}
	defer s.streams.free()
	out := s.openStream(w)
	if r.Method == http.MethodHead {
		return
	}
	ticker := time.NewTicker(activityPause)
	defer ticker.Stop()
	caller, checked := callerOf(r), time.Now()
	var sent string
	var at time.Time
	for {
		if time.Since(checked) >= s.limits.heartbeat {
			caller, checked = s.identify(r), time.Now()
			if caller == nil || !caller.May(access.See) {
				return // the session has ended
			}
		}
		text := s.recent(r.Context(), caller)
		var err error
		switch {
		case text != sent:
			err = out.send("event: builds\ndata: " + text)
			sent, at = text, time.Now()
		case time.Since(at) >= s.limits.heartbeat:
			err = out.send(":")
			at = time.Now()
		}
		if err != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		case <-s.abort:
			return
		}
	}
}

// recent returns the newest builds that a caller may see, as JSON.
func (s *Server) recent(ctx context.Context, c *access.Caller) string {
	a := &s.activity
	a.mu.Lock()
	defer a.mu.Unlock()
	key := strings.Join(c.Templates, "\x00")
	v := a.views[key]
	if v == nil {
		// Views that nobody reads any more go.
		maps.DeleteFunc(a.views, func(_ string, v *view) bool {
			return time.Since(v.read) > time.Minute
		})
		v = &view{}
		if a.views == nil {
			a.views = map[string]*view{}
		}
		a.views[key] = v
	}
	if time.Since(v.read) >= activityPause {
		f := history.Filter{Kinds: history.Builds(), Only: c.Templates, Limit: recentBuilds}
		if time.Since(v.pastRead) >= historyPause {
			v.past, v.pastRead = s.past(ctx, f), time.Now()
		}
		v.text, v.read = encodeBuilds(s.join(f, v.past)), time.Now()
	}
	return v.text
}

func encodeBuilds(list []history.Build) string {
	text, err := json.Marshal(struct {
		Schema int             `json:"schema"`
		Builds []history.Build `json:"builds"`
	}{schema.Version, list})
	if err != nil { // a programming error
		return "null"
	}
	return string(text)
}
