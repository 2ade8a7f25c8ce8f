package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// Secrets of a server on a port.
const (
	serveToken = "a-token-that-only-the-test-knows"
	hookSecret = "a-secret-that-the-git-server-knows"
)

// serveOnPort starts the command where a git server can reach it.
func (u user) serveOnPort(t *testing.T, args ...string) (*process, *serveClient) {
	t.Helper()
	u = u.with("PINION_SERVE_TOKEN", serveToken, "PINION_HOOK_SECRET", hookSecret)
	p := u.start(t, append([]string{"serve", "--listen", "tcp://127.0.0.1:0"}, args...)...)
	s := &serveClient{client: &http.Client{},
		header: http.Header{"Authorization": {"Bearer " + serveToken}}}
	eventually(t, "a server", func() bool {
		_, after, ok := strings.Cut(p.stderr.String(), "serving at tcp://")
		at, _, ended := strings.Cut(after, "\n")
		s.url = "http://" + at
		return ok && ended
	})
	t.Cleanup(s.client.CloseIdleConnections)
	return p, s
}

// buildsOf returns the builds of a commit.
func (s *serveClient) buildsOf(t *testing.T, sha string) (found []pinion.BuildStatus) {
	t.Helper()
	for _, b := range s.builds(t) {
		if b.Revision.String() == sha {
			found = append(found, b)
		}
	}
	return found
}

func (s *serveClient) waitFor(
	t *testing.T, sha string, state pinion.BuildState,
) pinion.BuildStatus {
	t.Helper()
	var b pinion.BuildStatus
	eventually(t, "a build of "+sha+" that is "+string(state), func() bool {
		found := s.buildsOf(t, sha)
		if len(found) > 0 {
			b = found[0]
		}
		return b.State == state
	})
	return b
}

// TestWatchByWebhook: a webhook of a real Gitea starts the build of a pushed commit.
func TestWatchByWebhook(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, first := s.prepare(t, "RUN echo first")
	p, srv := s.serveOnPort(t, "--watch", "--warm", runtime, "--watch-interval", "1h")
	if b := srv.waitFor(t, first, pinion.BuildDone); !b.Prewarmed || !b.Image.Prewarmed {
		t.Errorf("%+v", b)
	}
	var second string
	for _, kind := range []string{"form", "json"} {
		s.hook(t, tmpl, srv, kind)
		second = tmpl.busybox(t, "RUN echo by "+kind)
		srv.waitFor(t, second, pinion.BuildDone)
	}
	s.reset()
	img := want[pinion.Image](t, srv.ensure(t.Context()), 200)
	if img.Outcome != pinion.OutcomeHit || !img.Prewarmed || img.Revision.String() != second {
		t.Errorf("%+v", img)
	}
	// A look-up of the watcher's that is under way is shared.
	if n := len(s.git.Requests()); n > 1 {
		t.Errorf("a hit made %d requests to the git server", n)
	}
	s.wantOnlyInspections(t)
	if log := p.stderr.String(); strings.Contains(log, serveToken) ||
		strings.Contains(log, hookSecret) {
		t.Errorf("a secret is in the log:\n%s", log)
	}
	if r := srv.ask(t.Context(), "GET", "/v1/builds", "", "Authorization",
		"Bearer wrong"); r.status != 401 {
		t.Errorf("a wrong token is answered by %d", r.status)
	}
}

// hook replaces the webhook of a repository by one whose bodies have that content type.
func (s *scene) hook(t *testing.T, tmpl template, srv *serveClient, kind string) {
	t.Helper()
	s.hookAt(t, tmpl, srv, kind, "gitea")
}

// hookAt is hook for the route of a forge, and for other events than pushes if some are named.
func (s *scene) hookAt(
	t *testing.T, tmpl template, srv *serveClient, kind, forge string, events ...string,
) {
	t.Helper()
	if len(events) == 0 {
		events = []string{"push"}
	}
	hooks := "/repos/" + tmpl.repo.String() + "/hooks"
	var before []struct{ ID int64 }
	if err := s.gitea.Call(t.Context(), "GET", hooks, nil, &before); err != nil {
		t.Fatal(err)
	}
	for _, h := range before {
		if err := s.gitea.Call(t.Context(), "DELETE", fmt.Sprintf("%s/%d", hooks, h.ID), nil,
			nil); err != nil {
			t.Fatal(err)
		}
	}
	err := s.gitea.Call(t.Context(), "POST", hooks, map[string]any{
		"type": "gitea", "active": true, "events": events,
		"config": map[string]string{"url": srv.url + "/v1/hooks/" + forge, "content_type": kind,
			"secret": hookSecret},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// TestWatchByPolling: only templates with an image are followed.
func TestWatchByPolling(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, _ := s.prepare(t, "RUN echo polled")
	s.template(t, "langgraph", parts.RepoOptions{}).busybox(t, "RUN echo not asked for")
	s.ensure(t, pinion.OutcomeBuilt)
	_, srv := s.serve(t, "--watch", "--watch-interval", "1s")
	sha := tmpl.busybox(t, "RUN echo polled again")
	srv.waitFor(t, sha, pinion.BuildDone)
	if n := s.git.Count("langgraph"); n != 0 {
		t.Errorf("a template without requests was looked up %d times", n)
	}
	// Now it is.
	asked := srv.ask(t.Context(), "POST", "/v1/images/langgraph?wait=10m", "")
	if img := want[pinion.Image](t, asked, 200); img.Prewarmed {
		t.Errorf("%+v", img)
	}
	s.reset()
	eventually(t, "a look-up of what was asked for", func() bool {
		return s.git.Count("langgraph") > 0
	})
}

// TestWatchKnowsWhatFailedBefore: a commit that cannot be built is not built again by each server
// that is started, unless somebody asks for it.
func TestWatchKnowsWhatFailedBefore(t *testing.T) {
	s := newScene(t, containerdOwn)
	_, sha := s.prepare(t, "RUN exit 3")
	args := []string{"--watch", "--warm", runtime, "--watch-interval", "1s"}
	p, srv := s.serve(t, args...)
	srv.waitFor(t, sha, pinion.BuildFailed)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	p, srv = s.serve(t, args...)
	eventually(t, "a line about it", func() bool {
		return strings.Contains(p.stderr.String(), "failed (build) before the server started")
	})
	if got := srv.buildsOf(t, sha); len(got) != 1 {
		t.Errorf("there are %d builds", len(got))
	}
	if r := srv.ensure(t.Context()); r.status != 422 {
		t.Errorf("%+v", r)
	}
}

// push is Gitea's webhook. Each delivery has a body of its own: one that was taken is not taken
// again.
func (s *serveClient) push(t *testing.T, tmpl template, delivery, sha string) int {
	t.Helper()
	body := fmt.Sprintf(
		`{"ref":"refs/heads/main","after":%q,"delivery":%q,"repository":{"full_name":%q}}`, sha,
		delivery, tmpl.repo,
	)
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(body))
	return s.ask(t.Context(), "POST", "/v1/hooks/gitea", body, "X-Gitea-Event", "push",
		"X-Gitea-Signature", hex.EncodeToString(mac.Sum(nil))).status
}

// TestAStormOfWebhooks: 500 of them and 20 commits while one build runs. That one is finished and
// marked, and after it comes the last commit.
func TestAStormOfWebhooks(t *testing.T) {
	partstest.OnSomeDays(t)
	s := newScene(t, containerdStandalone)
	gate := newBuildGate(t)
	tmpl, first := s.prepare(t, gate.add())
	_, srv := s.serveOnPort(t, "--watch", "--warm", runtime, "--watch-interval", "1h",
		"--max-parallel", "1")
	receive(t, "the first build", gate.arrived)
	const pushes, commits = 500, 20
	var last string
	var all sync.WaitGroup
	for i := range pushes {
		if i%(pushes/commits) == 0 {
			last = tmpl.busybox(t, fmt.Sprintf("RUN echo %d", i))
		}
		all.Go(func() {
			// A wrong commit in the hook changes nothing. Of too many hooks at once, some are
			// refused.
			if got := srv.push(t, tmpl, fmt.Sprint(i), strings.Repeat("f", 40)); got != 202 &&
				got != 503 {
				t.Errorf("a push is answered by %d", got)
			}
		})
	}
	all.Wait()
	if got := srv.push(t, tmpl, "last", last); got != 202 {
		t.Errorf("the last push is answered by %d", got)
	}
	eventually(t, "that the first is superseded by the last", func() bool {
		b := srv.buildsOf(t, first)
		return len(b) == 1 && b[0].SupersededBy.String() == last &&
			b[0].State == pinion.BuildRunning
	})
	gate.open()
	if b := srv.waitFor(t, first, pinion.BuildDone); b.SupersededBy.String() != last {
		t.Errorf("superseded by %s", b.SupersededBy)
	}
	srv.waitFor(t, last, pinion.BuildDone)
	if n := len(srv.builds(t)); n != 2 {
		t.Errorf("%d builds of %d pushes", n, pushes)
	}
	if n := s.git.Count("git-upload-pack"); n > 100 {
		t.Errorf("%d requests to the git server", n)
	} else {
		t.Logf("%d requests to the git server", n)
	}
	if img := want[pinion.Image](t, srv.ensure(t.Context()),
		200); img.Outcome != pinion.OutcomeHit || !img.Prewarmed || img.Revision.String() != last {
		t.Errorf("%+v", img)
	}
}
