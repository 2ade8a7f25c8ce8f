package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

// notifySecret signs notifications.
const notifySecret = "a-secret-that-the-receiver-knows"

// commitStatus is a status as Gitea's API has it.
type commitStatus struct {
	Status, Context, Description string
	TargetURL                    string `json:"target_url"`
}

// statuses returns those of a commit in Gitea, the newest first.
func (tmpl template) statuses(t *testing.T, sha string) (list []commitStatus) {
	t.Helper()
	err := tmpl.scene.gitea.Call(t.Context(), "GET", "/repos/"+tmpl.repo.String()+"/statuses/"+sha+
		"?sort=recentupdate", nil, &list)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// status waits until the combined status of a commit in Gitea is that state.
func (tmpl template) status(t *testing.T, sha, state string) commitStatus {
	t.Helper()
	var combined struct {
		State    string
		Statuses []commitStatus
	}
	eventually(t, "the status "+state+" of "+sha, func() bool {
		err := tmpl.scene.gitea.Call(t.Context(), "GET", "/repos/"+tmpl.repo.String()+"/commits/"+
			sha+"/status", nil, &combined)
		return err == nil && combined.State == state && len(combined.Statuses) == 1
	})
	return combined.Statuses[0]
}

// withStatuses gives the user a config file by which statuses go to Gitea, with a token of these
// scopes.
func (s *scene) withStatuses(t *testing.T, scopes ...string) (u user, token string) {
	t.Helper()
	token, err := s.gitea.CreateToken(t.Context(), s.gitea.Administrator(), scopes...)
	if err != nil {
		t.Fatal(err)
	}
	return s.with("STATUS_TOKEN", token, "PINION_CONFIG", configFile(t, fmt.Sprintf(
		"servers:\n- {host: %q, forge: gitea, status_token_env: STATUS_TOKEN}\n",
		strings.TrimPrefix(s.git.URL(), "http://")))), token
}

// note is a notification, as a receiver reads it.
type note struct {
	Schema     int
	Event, URL string
	Build      pinion.BuildStatus
}

// notifications returns the address of a receiver, and what it gets with the right signature.
func notifications(t *testing.T) (url string, got <-chan note) {
	t.Helper()
	notes := make(chan note, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte(notifySecret))
		_, _ = fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"),
			r.Header.Get("webhook-timestamp"), body)
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		var n note
		if err := json.Unmarshal(body, &n); err != nil ||
			r.Header.Get("webhook-signature") != want {
			t.Errorf("%v, signed with %s: %s", err, r.Header.Get("webhook-signature"), body)
		}
		notes <- n
	}))
	t.Cleanup(server.Close)
	return server.URL, notes
}

// TestCommitStatuses: a push to a real Gitea comes back as the commit's status, green or red, by
// each route that takes what Gitea sends, and as a notification.
func TestCommitStatuses(t *testing.T) {
	s := newScene(t, containerdOwn)
	u, token := s.withStatuses(t, "write:repository")
	address, notes := notifications(t)
	tmpl, first := s.prepare(t, "RUN echo first")
	if out := u.succeed(t, "doctor", runtime).stdout; !strings.Contains(out,
		"takes commit statuses") {
		t.Errorf("doctor says\n%s", out)
	}
	p, srv := u.with("PINION_NOTIFY_SECRET", notifySecret).serveOnPort(t, "--watch", "--warm",
		runtime, "--watch-interval", "1h", "--public-url", "https://pinion.example/",
		"--notify-url", address)
	tmpl.status(t, first, "success")
	if n := receive(t, "a notification", notes); n.Event != "built" ||
		n.Build.Revision.String() != first || n.Schema != 1 {
		t.Errorf("%+v", n)
	}
	// Gitea also has the headers of GitHub.
	for _, c := range []struct{ forge, kind string }{{"gitea", "json"}, {"github", "json"},
		{"github", "form"}} {
		s.hookAt(t, tmpl, srv, c.kind, c.forge)
		sha := tmpl.busybox(t, "RUN echo by "+c.forge+" in "+c.kind)
		b := srv.waitFor(t, sha, pinion.BuildDone)
		got := tmpl.status(t, sha, "success")
		if !strings.HasPrefix(got.Description, "built in ") ||
			!strings.HasSuffix(got.Description, "B") || got.Context != "pinion/"+runtime ||
			got.TargetURL != "https://pinion.example/#/builds/"+b.ID {
			t.Errorf("by %s: %+v", c.forge, got)
		}
		if all := tmpl.statuses(t, sha); len(all) != 2 || all[1].Status != "pending" {
			t.Errorf("by %s: %+v", c.forge, all)
		}
		if n := receive(t, "a notification", notes); n.Event != "built" || n.URL != got.TargetURL {
			t.Errorf("by %s: %+v", c.forge, n)
		}
	}
	sha := tmpl.busybox(t, "RUN echo broken && exit 3")
	got := tmpl.status(t, sha, "failure")
	if !strings.Contains(got.Description, "failed (build)") ||
		!strings.Contains(got.Description, "RUN echo broken && exit 3") {
		t.Errorf("%+v", got)
	}
	if n := receive(t, "a notification", notes); n.Event != "failed" ||
		!strings.Contains(n.Build.Failure.Step, "exit 3") {
		t.Errorf("%+v", n)
	}
	if log := p.stderr.String(); strings.Contains(log, token) || strings.Contains(log, address) ||
		strings.Contains(log, notifySecret) {
		t.Errorf("a secret is in the log:\n%s", log)
	}
	for _, r := range s.git.Requests() {
		if strings.Contains(r.Path, "/statuses/") != (r.Authorization == "token "+token) {
			t.Errorf("%s %s has the authorization %q", r.Method, r.Path, r.Authorization)
		}
	}
}

// TestAForgeThatRefusesStatuses costs a line in the log, and no build.
func TestAForgeThatRefusesStatuses(t *testing.T) {
	s := newScene(t, containerdOwn)
	u, token := s.withStatuses(t, "read:repository")
	tmpl, first := s.prepare(t, "RUN echo first")
	if out := u.succeed(t, "doctor", runtime).stdout; !strings.Contains(out, "check its scopes") {
		t.Errorf("doctor says\n%s", out)
	}
	p, srv := u.serveOnPort(t, "--watch", "--warm", runtime, "--watch-interval", "1h")
	s.hook(t, tmpl, srv, "json")
	srv.waitFor(t, first, pinion.BuildDone)
	srv.waitFor(t, tmpl.busybox(t, "RUN echo second"), pinion.BuildDone)
	eventually(t, "all requests", func() bool { return s.git.Count("/statuses/") >= 4 })
	log := p.stderr.String()
	if strings.Count(log, "commit statuses at "+s.git.URL()) != 1 ||
		!strings.Contains(log, "check the token") || strings.Contains(log, token) {
		t.Errorf("the log is\n%s", log)
	}
	if got := tmpl.statuses(t, first); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
