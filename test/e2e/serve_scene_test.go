package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/servetest"
)

// serveClient is a running server and a client for it.
type serveClient struct {
	client *http.Client
	url    string
	header http.Header
}

// reply is an answer that was read whole.
type reply struct {
	status int
	header http.Header
	text   string
	err    error
}

// socket is a path for one, short enough to be taken.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pinion-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "p.sock")
}

func clientOf(t *testing.T, path string) *serveClient {
	t.Helper()
	transport := &http.Transport{DialContext: func(
		ctx context.Context, _, _ string,
	) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &serveClient{client: &http.Client{Transport: transport}, url: "http://pinion",
		header: http.Header{}}
}

// serveHere serves an orchestrator in this process, so that the test can see who waits.
func serveHere(t *testing.T, o *pinion.Orchestrator) *serveClient {
	t.Helper()
	path := socket(t)
	stop, err := servetest.Serve(o, "unix://"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return clientOf(t, path)
}

// serve starts the command on a socket.
func (u user) serve(t *testing.T, args ...string) (*process, *serveClient) {
	t.Helper()
	path := socket(t)
	p := u.start(t, append([]string{"serve", "--listen", "unix://" + path}, args...)...)
	s := clientOf(t, path)
	eventually(t, "a server", func() bool {
		return s.ask(t.Context(), "GET", "/healthz", "").status == 200
	})
	return p, s
}

func (s *serveClient) ask(ctx context.Context, method, path, body string, header ...string) reply {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	req.Header = s.header.Clone()
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text), err}
}

// ensure asks for the runtime's image, and waits.
func (s *serveClient) ensure(ctx context.Context) reply {
	return s.ask(ctx, "POST", "/v1/images/"+runtime+"?wait=10m", "")
}

// want expects a status and reads the answer.
func want[T any](t *testing.T, r reply, status int) (v T) {
	t.Helper()
	if r.err != nil || r.status != status {
		t.Fatalf("status %d, not %d: %v %s", r.status, status, r.err, r.text)
	}
	if err := json.Unmarshal([]byte(r.text), &v); err != nil {
		t.Fatalf("%v: %s", err, r.text)
	}
	return v
}

// accepted is the answer to who does not wait.
type accepted struct {
	Build    pinion.BuildStatus `json:"build"`
	Interest string             `json:"interest"`
}

func (s *serveClient) begin(t *testing.T, name string) accepted {
	t.Helper()
	return want[accepted](t, s.ask(t.Context(), "POST", "/v1/images/"+name, ""), 202)
}

func (s *serveClient) builds(t *testing.T) []pinion.BuildStatus {
	t.Helper()
	return want[struct {
		Builds []pinion.BuildStatus
	}](t, s.ask(t.Context(), "GET", "/v1/builds", ""), 200).Builds
}

func (s *serveClient) withdraw(ctx context.Context, a accepted) int {
	return s.ask(ctx, "DELETE", "/v1/builds/"+a.Build.ID, "", "Pinion-Interest", a.Interest).status
}

// events are those of a build, read to their end.
func (s *serveClient) events(
	ctx context.Context, id string, header ...string,
) ([]pinion.Event, error) {
	r := s.ask(ctx, "GET", "/v1/builds/"+id+"/events", "", header...)
	var all []pinion.Event
	for line := range strings.SplitSeq(r.text, "\n") {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var e pinion.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, r.err
}

func within(t *testing.T, what string, since time.Time, most time.Duration) {
	t.Helper()
	took := time.Since(since)
	t.Logf("%s took %s", what, took)
	if took > most {
		t.Errorf("%s took %s", what, took)
	}
}
