package server

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
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

// activity has the newest builds, which all readers share. text has them as JSON.
type activity struct {
	mu     sync.Mutex
	read   time.Time
	builds []history.Build
	text   string
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
	var sent string
	var at time.Time
	for {
		text := s.recent(r.Context(), callerOf(r))
		var err error
		switch {
		case text != sent:
			err = out.send("event: builds\ndata: " + text)
			sent, at = text, time.Now()
		case time.Since(at) >= s.limits.heartbeat:
			if s.identify(r) == nil {
				return // the session has ended
			}
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
	if time.Since(a.read) >= activityPause {
		f := history.Filter{Kinds: history.Builds(), Limit: recentBuilds}
		if time.Since(a.pastRead) >= historyPause {
			a.past, a.pastRead = s.past(ctx, f), time.Now()
		}
		a.builds, a.read = s.join(f, a.past), time.Now()
		a.text = encodeBuilds(a.builds)
	}
	if c.SeesAll() {
		return a.text
	}
	return encodeBuilds(slices.DeleteFunc(slices.Clone(a.builds),
		func(b history.Build) bool { return !c.Sees(b.Name) }))
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
