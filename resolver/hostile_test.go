package resolver

import (
	"bytes"
	"fmt"
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

const (
	shaA   = "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3"
	shaB   = "b94a8fe5ccb19ba61c4c0873d391e987982fbbd3"
	sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	canary = "c4n4ry/tok+en=with \"odd\" signs"

	repoPath = "/acme/tool"
	packPath = repoPath + ".git/git-upload-pack"
	infoPath = repoPath + ".git/info/refs"
	apiRepo  = "/api/v1/repos" + repoPath
)

// usual is the hint of a look-up that knows nothing.
var usual Dialect

// server is an in-process git server and forge that answers as a test says.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
	routes   map[string]http.HandlerFunc
}

type request struct {
	method, path, auth, body string
	header                   http.Header
}

// newServer serves the given routes by path; any other is 404 with HTML. Without
// a route of its own, discovery gets the answer of the command.
func newServer(t *testing.T, routes map[string]http.HandlerFunc) *server {
	t.Helper()
	s := &server{routes: routes}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	// in many tests the client closes the connection
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	s.requests = append(s.requests, request{r.Method, r.URL.Path, r.Header.Get("Authorization"),
		string(body), r.Header})
	s.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	route := s.routes[r.URL.Path]
	if route == nil && r.URL.Path == infoPath {
		route = s.routes[packPath]
	}
	if route != nil {
		route(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusNotFound)
}

func (s *server) seen() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.requests...)
}

func (s *server) remote(t *testing.T) git.Remote {
	t.Helper()
	return mustRemote(t, s.URL+repoPath)
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "http://") }

// client has no wait between retries.
func (s *server) client(opts ...ClientOption) *Client {
	return NewClient(nil, append([]ClientOption{WithBackoff(3, noWait)}, opts...)...)
}

func (s *server) clientWithToken(token string, opts ...ClientOption) *Client {
	return NewClient(Credentials{s.host(): {Token: token}},
		append([]ClientOption{WithBackoff(3, noWait)}, opts...)...)
}

func noWait(int) time.Duration { return 0 }

func mustRemote(t *testing.T, raw string) git.Remote {
	t.Helper()
	r, err := git.ParseRemote(raw)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustBranch(t *testing.T, name string) git.Ref {
	t.Helper()
	r, err := git.ParseBranch(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustRevision(t *testing.T, hex string) git.Revision {
	t.Helper()
	r, err := git.ParseRevision(hex)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pkt(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "%04x%s\n", len(line)+5, line)
	}
	return b.String()
}

// refs answers with a complete list of refs.
func refs(lines ...string) http.HandlerFunc { return result(pkt(lines...) + "0000") }

// advertises answers discovery with these lines.
func advertises(lines ...string) http.HandlerFunc {
	return answer(http.StatusOK, advertiseType,
		pkt("# service=git-upload-pack")+"0000"+pkt(lines...)+"0000")
}

// headMain is the good answer of an ordinary repository.
func headMain() http.HandlerFunc { return refs(shaA + " HEAD symref-target:refs/heads/main") }

// result answers with these bytes and the right content type.
func result(body string) http.HandlerFunc { return answer(http.StatusOK, resultType, body) }

func jsonOf(status int, body string) http.HandlerFunc { return answer(status, jsonType, body) }

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // the client may close the connection
	}
}

func redirect(status int, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(status)
	}
}

// inTurn answers one request after another; the last answer repeats.
func inTurn(answers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	next := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		handler := answers[min(next, len(answers)-1)]
		next++
		mu.Unlock()
		handler(w, r)
	}
}

// byRef answers by the exact ref-prefix asked for.
func byRef(answers map[string]http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // it has been read already
		for ref, handler := range answers {
			if strings.Contains(string(body), "ref-prefix "+ref+"\n") {
				handler(w, r)
				return
			}
		}
		refs()(w, r)
	}
}

const (
	apiNotFound = `{"errors":[],"message":"The target couldn't be found.",` +
		`"url":"http://x/api/swagger"}`
	apiUnauthorized = `{"message":"invalid username, password or token",` +
		`"url":"http://x/api/swagger"}`
)

func repoJSON(defaultBranch, format string) string {
	return fmt.Sprintf(
		`{"id":1,"name":"tool","empty":false,"default_branch":%q,"object_format_name":%q}`,
		defaultBranch, format,
	)
}

// serveInProcess is a repository that requires a credential, without a network.
func serveInProcess(r *http.Request, signed bool) (*http.Response, error) {
	w := httptest.NewRecorder()
	if signed {
		headMain()(w, r)
	} else {
		answer(http.StatusUnauthorized, "text/plain", "")(w, r)
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}
