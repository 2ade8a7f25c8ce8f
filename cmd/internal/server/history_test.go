package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
)

// past returns a history with a build of another process, which failed.
func past(t *testing.T) *history.Dir {
	t.Helper()
	d, err := history.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	r := history.NewRecorder(func() (*history.Dir, error) { return d, nil }, "ensure",
		slog.New(slog.DiscardHandler))
	b := newFakeBuild(&fakeBackend{head: revision(t, "b")}, "before")
	r.Observe(b)
	b.emit(pinion.Event{Type: pinion.EventLog, Text: "said before"})
	b.end(pinion.Image{}, &pinion.Error{Name: "before", Err: pinion.ErrBuild})
	r.Close(t.Context())
	return d
}

// unreadable is a history whose database cannot be read.
type unreadable struct{ History }

func (unreadable) Take(context.Context) error { return history.ErrNewer }

func (unreadable) Size(context.Context) (history.Size, error) {
	return history.Size{}, history.ErrNewer
}

func (unreadable) Find(context.Context, string) (history.Build, error) {
	return history.Build{}, history.ErrNewer
}

func (unreadable) List(context.Context, history.Filter) ([]history.Build, error) {
	return nil, history.ErrNewer
}

// buildsOf returns name, state and command of the builds in a list.
func buildsOf(t *testing.T, s *stage, query string) string {
	t.Helper()
	var got struct{ Builds []history.Build }
	a := s.ask(t, http.MethodGet, "/v1/builds"+query, "")
	if err := json.Unmarshal([]byte(a.text), &got); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s: %v", a.StatusCode, a.text, err)
	}
	var out []string
	for _, b := range got.Builds {
		out = append(out, b.Name+" "+string(b.State)+" "+b.Command)
	}
	return strings.Join(out, ", ")
}

func TestBuildsOfTheHistory(t *testing.T) {
	s := newStage(t, WithHistory(past(t)))
	if a := s.ask(t, http.MethodPost, "/v1/images/now", ""); a.StatusCode != http.StatusAccepted {
		t.Fatal(a.text)
	}
	for query, want := range map[string]string{
		"":                       "now running serve, before failed ensure",
		"?limit=1":               "now running serve",
		"?kind=failed":           "before failed ensure",
		"?kind=running&name=now": "now running serve",
		"?name=nobody":           "",
		"?name=nobody,now,before&kind=done,failed": "before failed ensure",
		"?before=2020-01-01T00:00:00Z":             "",
		"?since=2020-01-01T00:00:00.5Z":            "now running serve, before failed ensure",
	} {
		if got := buildsOf(t, s, query); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"?kind=odd", "?limit=0", "?limit=1001", "?since=yesterday"} {
		if a := s.ask(t, http.MethodGet, "/v1/builds"+query, ""); a.StatusCode != 400 {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.text)
		}
	}
	all := s.find(t.Context(), history.Filter{Names: []string{"before"}, Limit: 2})
	if len(all) != 1 {
		t.Fatal(all)
	}
	at := "/v1/builds/" + all[0].ID
	if a := s.ask(t, http.MethodGet, at, ""); !strings.Contains(a.text, `"failed"`) {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := s.ask(t, http.MethodGet, at[:len(at)-1], ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("a part of the ID: %d %s", a.StatusCode, a.text)
	}
	a := s.ask(t, http.MethodGet, at+"/events", "")
	if !strings.Contains(a.text, "said before") || !strings.Contains(a.text, "event: failed") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := s.ask(t, http.MethodGet, at+"/events", "", "Last-Event-ID", "99"); a.StatusCode !=
		http.StatusNoContent {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := s.ask(t, http.MethodPost, at+"/retry", ""); a.StatusCode != http.StatusAccepted ||
		s.backend.build("before") == nil {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := s.ask(t, http.MethodPost, at+"/cancel", ""); a.StatusCode != http.StatusConflict {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
}

// TestBuildsWithoutTheHistory: a history that cannot be read hides nothing of this server.
func TestBuildsWithoutTheHistory(t *testing.T) {
	var log syncBuffer
	s := newStage(t, WithHistory(unreadable{}),
		WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	s.ask(t, http.MethodPost, "/v1/images/now", "")
	if got := buildsOf(t, s, ""); got != "now running serve" {
		t.Errorf("%s", got)
	}
	if !strings.Contains(log.String(), "the history of builds cannot be read") {
		t.Errorf("log: %s", log.String())
	}
}

// TestARunningBuildIsListed beyond the limit, and hits only if they are asked for.
func TestARunningBuildIsListed(t *testing.T) {
	s := newStage(t)
	s.ask(t, http.MethodPost, "/v1/images/old", "")
	for range 3 {
		s.ask(t, http.MethodPost, "/v1/images/new", "")
		s.backend.build("new").finish()
	}
	eventually(t, "the ends", func() bool {
		return buildsOf(t, s, "?limit=2") == "new done serve, old running serve"
	})
}

func TestWhoMayCancel(t *testing.T) {
	caller, operator := strings.Repeat("c", MinToken), strings.Repeat("o", MinToken)
	callers, operators := WithToken(caller), WithOperatorToken(operator)
	for name, c := range map[string]struct {
		opts  []Option
		token string
		want  int
	}{
		"no token is required":  {nil, "", 204},
		"a caller":              {[]Option{callers}, caller, 403},
		"a caller beside them":  {[]Option{callers, operators}, caller, 403},
		"an operator":           {[]Option{callers, operators}, operator, 204},
		"an operator's alone":   {[]Option{operators}, operator, 204},
		"nobody beside them":    {[]Option{operators}, "", 401},
		"nobody beside callers": {[]Option{callers, operators}, "", 401},
	} {
		s := newStage(t, c.opts...)
		s.fixed = nil
		s.ask(t, http.MethodPost, "/v1/images/made", "")
		for _, o := range c.opts {
			o(s.Server)
		}
		b := s.backend.build("made")
		var header []string
		if c.token != "" {
			header = []string{"Authorization", "Bearer " + c.token}
		}
		a := s.ask(t, http.MethodPost, "/v1/builds/"+b.ID()+"/cancel", "", header...)
		if ended := !b.Status().Ended.IsZero(); a.StatusCode != c.want || ended != (c.want == 204) {
			t.Errorf("%s: %d %s, ended %t", name, a.StatusCode, a.text, ended)
		}
	}
}

func TestRetryOfAChosenCommit(t *testing.T) {
	s := newStage(t)
	s.ask(t, http.MethodPost, "/v1/images/made", "")
	b := s.backend.build("made")
	for want, change := range map[int]func(*pinion.BuildStatus){
		http.StatusAccepted: func(b *pinion.BuildStatus) { b.Pinned = true },
		http.StatusConflict: func(b *pinion.BuildStatus) { b.Revision = b.SupersededBy },
	} {
		b.setStatus(func(b *pinion.BuildStatus) { b.Pinned, b.Revision = true, revision(t, "a") })
		b.setStatus(change)
		a := s.ask(t, http.MethodPost, "/v1/builds/"+b.ID()+"/retry", "")
		if a.StatusCode != want {
			t.Errorf("%d %s, want %d", a.StatusCode, a.text, want)
		}
	}
	if n := len(s.backend.calls); !slices.Contains(s.backend.calls[1:], 2) {
		t.Errorf("the commit was not passed on: %d calls with %v options", n, s.backend.calls)
	}
}
