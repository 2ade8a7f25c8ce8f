package resolver

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestHeadIsOneRequest(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{packPath: headMain()})
	head, err := s.clientWithToken("t0ken", WithUserAgent("test/1")).Head(t.Context(),
		s.remote(t), git.HEAD, Dialect{})
	if err != nil || head.Revision.String() != shaA || head.Ref != mustBranch(t, "main") {
		t.Fatalf("got %v, %v", head, err)
	}
	seen := s.seen()
	if len(seen) != 1 {
		t.Fatalf("%d requests", len(seen))
	}
	want := "0014command=ls-refs\n00010009peel\n000csymrefs\n000bunborn\n0014ref-prefix HEAD\n0000"
	got := seen[0]
	if got.method != http.MethodPost || got.body != want ||
		got.auth != "Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4=" {
		t.Errorf("asked %s %q with %q", got.method, got.body, got.auth)
	}
	for key, value := range map[string]string{"Git-Protocol": "version=2",
		"Content-Type": requestType, "Accept": resultType, "User-Agent": "test/1"} {
		if got.header.Get(key) != value {
			t.Errorf("%s is %q", key, got.header.Get(key))
		}
	}
}

func TestHeadOfBranchAndDetached(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{packPath: byRef(map[string]http.HandlerFunc{
		"refs/heads/dev": refs(shaB + " refs/heads/dev"),
		"HEAD":           refs(shaA + " HEAD"),
	})})
	c := s.client()
	if head, err := c.Head(t.Context(), s.remote(t), mustBranch(t, "dev"), Dialect{}); err != nil ||
		head.Revision.String() != shaB || head.Ref.Branch() != "dev" {
		t.Errorf("dev: %v, %v", head, err)
	}
	if head, err := c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{}); err != nil ||
		head.Revision.String() != shaA || !head.Ref.IsHEAD() {
		t.Errorf("HEAD: %v, %v", head, err)
	}
	_, err := c.Head(t.Context(), s.remote(t), mustBranch(t, "gone"), Dialect{})
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), `no branch "gone"`) {
		t.Errorf("gone: %v", err)
	}
}

// TestHEADOutsideTheBranches: HEAD may point anywhere, or to a branch whose name cannot be shown.
// The commit is known all the same.
func TestHEADOutsideTheBranches(t *testing.T) {
	for target, on := range map[string]string{
		"refs/meta/config": "HEAD", "refs/tags/v1": "HEAD", "refs/heads/../x": "HEAD",
		"refs/heads/caf\xe9": "HEAD", "refs/heads/a\u202eb": "HEAD",
		"refs/heads/fix#12": "refs/heads/fix#12",
	} {
		s := newServer(t, map[string]http.HandlerFunc{
			packPath: refs(shaA + " HEAD symref-target:" + target)})
		head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
		if err != nil || head.Revision.String() != shaA || head.Ref.String() != on {
			t.Errorf("%q: %v, %v", target, head, err)
		}
	}
}

func TestHeadOfTag(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{packPath: byRef(map[string]http.HandlerFunc{
		"refs/tags/v1": refs(shaB+" refs/tags/v1.1", shaB+" refs/tags/v1 peeled:"+shaA),
	})})
	c := s.client()
	if head, err := c.Head(t.Context(), s.remote(t), mustTag(t, "v1"), Dialect{}); err != nil ||
		head.Revision.String() != shaA || head.Ref.String() != "refs/tags/v1" {
		t.Errorf("v1: %v, %v", head, err)
	}
	_, err := c.Head(t.Context(), s.remote(t), mustTag(t, "gone"), Dialect{})
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), `no tag "gone"`) {
		t.Errorf("gone: %v", err)
	}
}

func TestHeadOverTLSAndSubPath(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/git/acme/tool.git/git-upload-pack" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		headMain()(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	s.StartTLS()
	defer s.Close()
	remote := mustRemote(t, s.URL+"/git/acme/tool")
	if _, err := NewClient(nil, WithHTTPTransport(s.Client().Transport)).Head(t.Context(), remote,
		git.HEAD, Dialect{}); err != nil {
		t.Error(err)
	}
	_, err := NewClient(nil).Head(t.Context(), remote, git.HEAD, Dialect{})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority gives %v", err)
	}
}

func TestHeadErrorIsTyped(t *testing.T) {
	s := newServer(t, nil)
	_, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
	var typed *Error
	if !errors.As(err, &typed) || typed.Remote != s.remote(t) || typed.Op != "look up HEAD of" {
		t.Errorf("got %#v", err)
	}
	if _, err := s.client().Head(
		t.Context(), git.Remote{}, git.HEAD, Dialect{},
	); !errors.Is(err, ErrInvalidInput) {
		t.Errorf("no remote gives %v", err)
	}
}

func TestMissingRepositoryText(t *testing.T) {
	remote := mustRemote(t, DefaultRepoPrefix+"codex")
	c := NewClient(nil,
		WithHTTPTransport(fakeTransport(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			w.WriteHeader(http.StatusNotFound)
			resp := w.Result()
			resp.Request = r
			return resp, nil
		})))
	text := headError(t, c, remote)
	for _, want := range []string{"the runtime is not mirrored", remote.String(),
		"claude-code, hermes, langgraph, autogen", "MOLECULE_GITEA_TOKEN"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
	text = headError(t, c, mustRemote(t, "https://h.example/acme/tool"))
	if strings.Contains(text, "langgraph") ||
		!strings.Contains(text, "https://h.example/acme/tool") {
		t.Errorf("another prefix: %q", text)
	}
}

func headError(t *testing.T, c *Client, remote git.Remote) string {
	t.Helper()
	_, err := c.Head(t.Context(), remote, git.HEAD, Dialect{})
	if !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	return err.Error()
}

func TestHeadUnreachable(t *testing.T) {
	s := newServer(t, nil)
	remote := s.remote(t)
	s.Close()
	if _, err := s.client().Head(
		t.Context(), remote, git.HEAD, Dialect{},
	); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestHeadCancelled(t *testing.T) {
	arrived, gone := make(chan struct{}), make(chan struct{})
	s := newServer(t,
		map[string]http.HandlerFunc{packPath: func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
			close(gone)
		}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := s.client().Head(ctx, s.remote(t), git.HEAD, Dialect{})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	<-gone // the server saw the request end, too
}

func TestHeadCallersDeadline(t *testing.T) {
	s := newServer(t,
		map[string]http.HandlerFunc{packPath: func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := s.client().Head(
		ctx, s.remote(t), git.HEAD, Dialect{},
	); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestConnectionIsReused(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{packPath: headMain()})
	var mu sync.Mutex
	addrs := map[string]bool{}
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		addrs[r.RemoteAddr] = true
		mu.Unlock()
		inner.ServeHTTP(w, r)
	})
	c := s.client()
	for range 3 {
		if _, err := c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{}); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(addrs) != 1 {
		t.Errorf("%d connections", len(addrs))
	}
}

func TestCredentialsFor(t *testing.T) {
	creds := Credentials{"a.example": {Token: "bare"}, "b.example:443": {Token: "port"},
		"c.example:8443": {Token: "other"}, "127.0.0.1:80": {Token: "plain"}}
	for raw, want := range map[string]string{
		"https://a.example/o/r": "bare", "https://A.example:443/o/r": "bare",
		"https://a.example:8443/o/r": "",
		"https://b.example/o/r":      "port", "https://c.example:8443/o/r": "other",
		"https://c.example/o/r":     "",
		"https://sub.a.example/o/r": "", "http://127.0.0.1/o/r": "plain",
		"https://127.0.0.1/o/r": "",
	} {
		if got := creds.For(mustRemote(t, raw)).Token; got != want {
			t.Errorf("%s gets %q, want %q", raw, got, want)
		}
	}
	if Credentials(nil).For(mustRemote(t, "https://a.example/o/r")).Token != "" {
		t.Error("nil credentials have a token")
	}
}
