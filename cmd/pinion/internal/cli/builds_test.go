package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/internal/feed"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// pastBuild is a build that has ended.
type pastBuild struct {
	mu     sync.Mutex
	status pinion.BuildStatus // guarded by mu
	events *feed.Feed[pinion.Event]
	done   chan struct{}
}

func (b *pastBuild) ID() string            { return b.Status().ID }
func (b *pastBuild) Done() <-chan struct{} { return b.done }

func (b *pastBuild) Status() pinion.BuildStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

func (b *pastBuild) Events(ctx context.Context, after int64) iter.Seq[pinion.Event] {
	return b.events.After(ctx, after)
}

// pastBuilds writes a history of a build that failed, one that is done, and two hits. It returns
// the environment for it.
func pastBuilds(t *testing.T) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "history")
	d, err := history.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := history.NewRecorder(func() (*history.Dir, error) { return d, nil }, "ensure",
		slog.New(slog.DiscardHandler))
	at := time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)
	rev, err := git.ParseRevision(strings.Repeat("ab", 20))
	if err != nil {
		t.Fatal(err)
	}
	img := image("one")
	for i, s := range []pinion.BuildStatus{
		{ID: "AAAABBBBCCCC", Name: "one", State: pinion.BuildQueued, Revision: rev, Pinned: true,
			Reason: "no image for this revision"},
		{ID: "AAAADDDDEEEE", Name: "two", State: pinion.BuildQueued, AskedBy: "\x1b[31mred"},
		{ID: "BBBB", Name: "one", State: pinion.BuildDone, Image: &img},
		{ID: "CCCC", Name: "one", State: pinion.BuildDone, Image: &img},
	} {
		s.Started = at.Add(time.Duration(i) * time.Minute)
		s.Reference = "molecule-local/workspace-template-" + s.Name + ":c4ec4b2024cf"
		b := &pastBuild{status: s, events: feed.New[pinion.Event](1 << 20),
			done: make(chan struct{})}
		if s.State == pinion.BuildDone {
			b.status.Ended = b.status.Started
			r.Observe(b)
			continue
		}
		for n, e := range []pinion.Event{
			{Type: pinion.EventStep, Step: &pinion.Step{Number: 1, Name: "RUN \x1b[31mmake",
				State: pinion.StepStarted}},
			{Type: pinion.EventLog, Text: "said by " + s.Name + "\x1b[0m",
				Step: &pinion.Step{Number: 1}},
			{Type: pinion.EventStep, Step: &pinion.Step{Number: 1, Name: "RUN \x1b[31mmake",
				State: pinion.StepDone}},
		} {
			e.Time = s.Started.Add(time.Duration(n) * time.Second)
			b.events.Add(0, func(int64) pinion.Event { return e })
		}
		b.events.Close()
		r.Observe(b)
		b.mu.Lock()
		b.status.State, b.status.Ended = pinion.BuildDone, s.Started.Add(5*time.Second)
		if i == 0 {
			b.status.State = pinion.BuildFailed
			b.status.Failure = &pinion.Failure{Message: "exit code 1", Class: pinion.ClassBuild}
		} else {
			b.status.Image = &pinion.Image{Outcome: pinion.OutcomeBuilt, ID: "sha256:2"}
		}
		b.mu.Unlock()
		close(b.done)
	}
	r.Close(t.Context())
	return map[string]string{"PINION_HISTORY": dir}
}

func TestBuildsVerbs(t *testing.T) {
	env := pastBuilds(t)
	for args, want := range map[string]run{
		"builds ls -q":                      {0, "AAAADDDDEEEE\nAAAABBBBCCCC\n", ""},
		"builds ls -q -n 1":                 {0, "AAAADDDDEEEE\n", ""},
		"builds ls -q one --kind failed":    {0, "AAAABBBBCCCC\n", ""},
		"builds ls -q --all":                {0, "BBBB\nAAAADDDDEEEE\nAAAABBBBCCCC\n", ""},
		"builds ls -q --since 59m30s":       {0, "AAAADDDDEEEE\n", ""},
		"builds ls -q nobody":               {0, "", ""},
		"builds logs aaaab":                 {0, "#1 RUN \\x1b[31mmake\nsaid by one\\x1b[0m\n", ""},
		"logs two":                          {0, "#1 RUN \\x1b[31mmake\nsaid by two\\x1b[0m\n", ""},
		"logs --follow two":                 {0, "#1 RUN \\x1b[31mmake\nsaid by two\\x1b[0m\n", ""},
		"logs nobody":                       {10, "", "the history has no build of nobody"},
		"builds show AAAA":                  {10, "", "several builds have an ID that begins so"},
		"builds show X":                     {10, "", "`pinion builds ls --all` lists the IDs"},
		"builds cancel AAAAB":               {64, "", "the build has ended"},
		"builds retry":                      {64, "", "give the ID of one build"},
		"builds ls --kind odd":              {64, "", "choose one of running, done"},
		"builds ls --all --kind hit":        {64, "", "--all lists all kinds"},
		"builds ls --history off":           {64, "", "there is no history"},
		"builds ls --server ftp://x":        {64, "", "use unix:///path"},
		"builds ls --server unix://run/x":   {64, "", "use unix:///path"},
		"builds ls --server http://a:b@c":   {64, "", "no credentials"},
		"builds ls --server unix:///no/one": {12, "", "the server at unix:///no/one"},
	} {
		got := callWith(t.Context(), nil, env, strings.Fields(args)...)
		if got.code != want.code || got.stdout != want.stdout ||
			!strings.Contains(got.stderr, want.stderr) {
			t.Errorf("%s: %+v, want %+v", args, got, want)
		}
	}
}

func TestBuildsTables(t *testing.T) {
	env := pastBuilds(t)
	var all string
	for _, args := range []string{"builds ls --all", "builds show aaaab", "builds stats"} {
		got := callWith(t.Context(), nil, env, strings.Fields(args)...)
		if got.code != 0 {
			t.Errorf("%s: %+v", args, got)
		}
		all += "$ pinion " + args + "\n" + got.stdout + "\n"
	}
	began := time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC).Local().Format(time.DateTime)
	golden(t, "builds.txt", strings.ReplaceAll(all, began, "2026-11-23 11:00:00"))
	got := callWith(t.Context(), nil, env, "builds", "show", "AAAAB", "--format", "json")
	var b struct {
		Schema int
		Steps  []history.Step
		history.Build
	}
	if err := json.Unmarshal([]byte(got.stdout), &b); err != nil || b.Schema != 1 ||
		len(b.Steps) != 1 || b.Failure == nil || b.Command != "ensure" {
		t.Errorf("%s: %+v, %v", got.stdout, b, err)
	}
}

func TestRetryHere(t *testing.T) {
	env := pastBuilds(t)
	f := twoGood()
	for id, want := range map[string]string{"AAAAB": "one", "AAAAD": "two"} {
		got := callWith(t.Context(), f, env, "builds", "retry", id)
		if got.code != 0 || got.stdout != image(want).Reference+"\n" {
			t.Errorf("%s: %+v", id, got)
		}
	}
	if fmt.Sprint(len(f.requested)) != "2" {
		t.Errorf("requested %v", f.requested)
	}
}

// TestBuildsOfAServer: the same verbs over HTTP.
func TestBuildsOfAServer(t *testing.T) {
	const token = "a-token-of-the-server"
	var asked []string
	mux := http.NewServeMux()
	answer := func(pattern, text string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Method+" "+r.URL.Path)
			if r.Header.Get("Authorization") != "Bearer "+token {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			fmt.Fprint(w, text)
		})
	}
	answer("GET /v1/builds", `{"schema":1,"builds":[{"id":"AB1","name":"one","state":"running",`+
		`"reference":"r:1","started":"2026-11-23T11:00:00Z","command":"serve"}]}`)
	answer("GET /v1/builds/AB1", `{"id":"AB1","started":"2026-11-23T11:00:00Z",`+
		`"ended":"2026-11-23T12:00:00Z"}`)
	answer("GET /v1/builds/AB1/events", "id: 1\nevent: log\ndata: {\"id\":1,\"type\":\"log\","+
		"\"text\":\"over there\"}\n\n")
	answer("POST /v1/builds/AB1/cancel", "")
	answer("POST /v1/builds/AB1/retry", `{"build":{"id":"AB2"},"interest":"x"}`)
	mux.HandleFunc("POST /v1/builds/AB1/away", http.NotFound)
	s := httptest.NewServer(mux)
	defer s.Close()
	env := map[string]string{"PINION_SERVE_TOKEN": token}
	for args, want := range map[string]string{
		"builds ls -q": "AB1\n", "builds logs -f ab1": "over there\n", "logs one": "over there\n",
		"builds cancel AB": "", "builds retry AB1": "AB2\n",
	} {
		got := callWith(t.Context(), nil, env, append(strings.Fields(args), "--server", s.URL)...)
		if got.code != 0 || got.stdout != want {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
	all := strings.Join(asked, "; ")
	for _, want := range []string{"POST /v1/builds/AB1/cancel", "POST /v1/builds/AB1/retry"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s was not asked: %s", want, all)
		}
	}
	got := callWith(t.Context(), nil, nil, "builds", "ls", "--server", s.URL)
	if got.code != 11 || !strings.Contains(got.stderr, "401") {
		t.Errorf("without the token: %+v", got)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got = callWith(t.Context(), nil, nil, "builds", "ls", "-q", "--server", s.URL, "--token-file",
		file)
	if got.code != 0 || got.stdout != "AB1\n" {
		t.Errorf("with the token's file: %+v", got)
	}
}

// TestTheTokenOfAServer goes to nobody in between, and in clear text to this machine alone.
func TestTheTokenOfAServer(t *testing.T) {
	const token = "a-token-of-the-server"
	var seen string
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = r.Header.Get("Authorization")
	}))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	env := map[string]string{"PINION_SERVE_TOKEN": token}
	const elsewhere = "http://pinion.invalid:1"
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"builds", "ls", "--server", elsewhere}, 64},
		{[]string{"builds", "ls", "--server", elsewhere, "--allow-http"}, 12},
	} {
		got := callWith(t.Context(), nil, env, c.args...)
		if got.code != c.code || strings.Contains(got.stderr, token) {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
	if seen != "" {
		t.Errorf("the proxy got %q", seen)
	}
}

// TestAStreamThatIsCutOff is no end of a build.
func TestAStreamThatIsCutOff(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/builds", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"builds":[{"id":"\u001b[31mAB1","name":"one","state":"running"}]}`)
	})
	mux.HandleFunc("GET /v1/builds/{id}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"id":"AB1","state":"running"}`)
	})
	mux.HandleFunc("GET /v1/builds/{id}/events", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "data: {\"id\":1,\"type\":\"log\",\"text\":\"so far\"}\n\n")
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	got := call(t.Context(), nil, "logs", "-f", "one", "--server", s.URL)
	if got.code != 12 || got.stdout != "so far\n" {
		t.Errorf("%+v", got)
	}
	got = call(t.Context(), nil, "builds", "ls", "--server", s.URL)
	if got.code != 0 || strings.Contains(got.stdout, "\x1b") {
		t.Errorf("%+v", got)
	}
}
