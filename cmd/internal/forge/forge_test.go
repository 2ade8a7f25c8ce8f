package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	sha   = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
	token = "s3cr3t-canary-token"
)

func parse(t *testing.T, url string) git.Remote {
	t.Helper()
	r, err := git.ParseRemote(url)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func revision(t *testing.T, hex string) git.Revision {
	t.Helper()
	r, err := git.ParseRevision(hex)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// recorded is a forge that keeps the requests it got.
type recorded struct {
	*httptest.Server
	status int

	mu  sync.Mutex
	got []string
}

func newForge(t *testing.T, status int) *recorded {
	t.Helper()
	f := &recorded{status: status}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var b map[string]string
		if err := json.Unmarshal(body, &b); err != nil {
			t.Errorf("%v: %s", err, body)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.got = append(f.got, fmt.Sprintf("%s %s [%s%s] %s %s%s: %s <%s>", r.Method,
			r.URL.EscapedPath(), r.Header.Get("Authorization"), r.Header.Get("PRIVATE-TOKEN"),
			b["state"], b["context"], b["name"], b["description"], b["target_url"]))
		w.WriteHeader(f.status)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *recorded) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got
}

// reporter returns one whose templates are all in a repository, and its log.
func reporter(f pinion.Forge) (*Reporter, *bytes.Buffer) {
	log := &bytes.Buffer{}
	return New(Config{
		Forge: func(name string) (pinion.Forge, bool) { return f, name != "without" },
		Size:  func(context.Context, pinion.Image) int64 { return 120_000_000 },
		Page:  func(id string) string { return "https://pinion.example/#/builds/" + id },
		Log:   slog.New(slog.NewTextHandler(log, nil)),
		box:   []outbox.Option{outbox.WithPause(time.Millisecond)},
	}), log
}

// build returns the status of a build that has begun.
func build(t *testing.T) pinion.BuildStatus {
	return pinion.BuildStatus{ID: "B1", Name: "claude-code", State: pinion.BuildQueued,
		Revision: revision(t, sha), Started: time.Unix(1000, 0)}
}

func ended(b pinion.BuildStatus, img *pinion.Image, f *pinion.Failure) pinion.BuildStatus {
	b.Ended, b.Image, b.Failure = b.Started.Add(42*time.Second), img, f
	return b
}

// TestProtocols compares what is sent with what the forges document.
func TestProtocols(t *testing.T) {
	const built = "success pinion/claude-code: built in 42s, 120MB " +
		"<https://pinion.example/#/builds/B1>"
	for name, c := range map[string]struct {
		kind       resolver.ForgeKind
		path, want string
	}{
		"Gitea": {resolver.ForgeGitea, "/acme/template",
			"POST /api/v1/repos/acme/template/statuses/" + sha + " [token " + token + "] " + built},
		"Gitea below a path": {resolver.ForgeGitea, "/git/acme/template.git",
			"POST /git/api/v1/repos/acme/template/statuses/" + sha + " [token " +
				token + "] " + built},
		"Forgejo": {resolver.ForgeForgejo, "/acme/template",
			"POST /api/v1/repos/acme/template/statuses/" + sha + " [token " + token + "] " + built},
		"GitHub Enterprise": {resolver.ForgeGitHub, "/acme/template",
			"POST /api/v3/repos/acme/template/statuses/" + sha + " [Bearer " +
				token + "] " + built},
		"GitLab": {resolver.ForgeGitLab, "/acme/sub/template.git",
			"POST /api/v4/projects/acme%2Fsub%2Ftemplate/statuses/" + sha + " [" +
				token + "] " + built},
	} {
		s := newForge(t, http.StatusCreated)
		r, log := reporter(pinion.Forge{Kind: c.kind, Remote: parse(t, s.URL+c.path), Token: token})
		r.Report(ended(build(t), &pinion.Image{Outcome: pinion.OutcomeBuilt}, nil))
		r.Close(t.Context())
		if got := strings.Join(s.requests(), "\n"); got != c.want {
			t.Errorf("%s: got\n%s\nnot\n%s", name, got, c.want)
		}
		if log.Len() > 0 {
			t.Errorf("%s: %s", name, log)
		}
	}
}

// TestGitHubsAPI: the token of github.com goes to its API and to nothing that is called alike.
func TestGitHubsAPI(t *testing.T) {
	for remote, want := range map[string]string{
		"https://github.com/a/b":        "https://api.github.com/repos/a/b/statuses/",
		"https://github.com:443/a/b":    "https://api.github.com/repos/a/b/statuses/",
		"https://github.com:8443/a/b":   "https://github.com:8443/api/v3/repos/a/b/statuses/",
		"https://github.com.evil.x/a/b": "https://github.com.evil.x/api/v3/repos/a/b/statuses/",
	} {
		m, err := message(pinion.Forge{Kind: resolver.ForgeGitHub, Remote: parse(t, remote)},
			status{revision: revision(t, sha)})
		if err != nil || m.URL != want+sha {
			t.Errorf("%s: %s, %v", remote, m.URL, err)
		}
	}
}

func TestStates(t *testing.T) {
	superseded := build(t)
	superseded.SupersededBy = revision(t, strings.Repeat("a", 40))
	failed := func(class pinion.Class, step string) pinion.BuildStatus {
		return ended(build(t), nil, &pinion.Failure{Class: class, Step: step, Message: "secret"})
	}
	cancelled := &pinion.Failure{Class: pinion.ClassCancelled}
	for name, c := range map[string]struct {
		build         pinion.BuildStatus
		gitea, gitea2 string // state, description
		gitLab        string
	}{
		"begun": {build(t), "pending", "building", "pending"},
		"a step failed": {failed(pinion.ClassBuild, "[2/3] RUN make"), "failure",
			"failed (build) after 42s: [2/3] RUN make", "failed"},
		"a long step": {failed(pinion.ClassBuild, strings.Repeat("ä", 300)), "failure",
			"failed (build) after 42s: " + strings.Repeat("ä", 113) + "…", "failed"},
		"stalled": {failed(pinion.ClassStalled, ""), "failure", "failed (stalled) after 42s",
			"failed"},
		"no builder": {failed(pinion.ClassNoBuilder, ""), "error", "failed (no-builder) after 42s",
			"failed"},
		"cancelled": {ended(build(t), nil, cancelled), "error", "cancelled after 42s", "canceled"},
		"superseded": {ended(superseded, nil, cancelled), "error", "superseded by aaaaaaaaaaaa",
			"canceled"},
		"a hit": {ended(build(t), &pinion.Image{Outcome: pinion.OutcomeHit}, nil), "success",
			"the image is there", "success"},
	} {
		r, _ := reporter(pinion.Forge{})
		s := r.statusOf(c.build)
		if got := s.name(resolver.ForgeGitea); got != c.gitea || clip(s.description) != c.gitea2 ||
			s.name(resolver.ForgeGitLab) != c.gitLab {
			t.Errorf("%s: %s, %q", name, got, s.description)
		}
	}
}

// TestWhatIsReported: hits of a commit that is known to be green, and what has no commit or no
// forge, are not reported.
func TestWhatIsReported(t *testing.T) {
	s := newForge(t, http.StatusCreated)
	r, _ := reporter(pinion.Forge{Kind: resolver.ForgeGitea, Remote: parse(t, s.URL+"/a/b"),
		Token: token})
	hit := ended(build(t), &pinion.Image{Outcome: pinion.OutcomeHit}, nil)
	for range 3 {
		r.Report(hit)
	}
	r.Report(build(t))
	r.Report(hit)
	tree, other := build(t), build(t)
	tree.Revision, other.Name = git.Revision{}, "without"
	r.Report(tree)
	r.Report(other)
	pull := hit // at the commit that is known to be green on its branch
	pull.PullRequest = 7
	for range 2 {
		r.Report(pull)
	}
	for i := range 3 * maxGreen {
		r.remember(fmt.Sprint(i), true)
	}
	r.Close(t.Context())
	got := s.requests()
	if len(got) != 4 || !strings.Contains(got[3], " pinion/claude-code/pull: ") ||
		len(r.green) != maxGreen || len(r.order) != maxGreen {
		t.Errorf("%d commits are known, and it sent\n%s", len(r.green), strings.Join(got, "\n"))
	}
	r.Report(build(t))
}

// TestAForgeThatRefuses costs one line for its host, without the token. What GitLab refuses because
// a commit is pending already is none.
func TestAForgeThatRefuses(t *testing.T) {
	s := newForge(t, http.StatusForbidden)
	r, log := reporter(pinion.Forge{Kind: resolver.ForgeGitea, Remote: parse(t, s.URL+"/a/b"),
		Token: token})
	for range 5 {
		r.Report(build(t))
	}
	r.Close(t.Context())
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, s.URL) ||
		!strings.Contains(text, "level=WARN") || strings.Contains(text, token) ||
		len(s.requests()) != 5 {
		t.Errorf("%d requests\n%s", len(s.requests()), text)
	}
	lab := newForge(t, http.StatusBadRequest)
	r, log = reporter(pinion.Forge{Kind: resolver.ForgeGitLab, Remote: parse(t, lab.URL+"/a/b"),
		Token: token})
	r.Report(build(t))
	r.Close(t.Context())
	if log.Len() > 0 {
		t.Errorf("%s", log)
	}
}
