package buildkit_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

func TestSourceUnavailable(t *testing.T)     { onBuilders(t, sourceUnavailable) }
func TestStalledSource(t *testing.T)         { onBuilders(t, stalledSource) }
func TestSourceThatComesBack(t *testing.T)   { onBuilders(t, sourceThatComesBack) }
func TestTreeThatCannotBeBuilt(t *testing.T) { onBuilders(t, treeThatCannotBeBuilt) }
func TestKilledStep(t *testing.T)            { onBuilders(t, killedStep) }

// sourceUnavailable: what a registry or a file server does not give for now is no fault of the
// template, and what it does not have is.
func sourceUnavailable(t *testing.T, b *bench) {
	defer buildkit.SetSourcePauses()()
	var answer atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(answer.Load()))
		fmt.Fprintln(w, `{"errors":[{"code":"UNAVAILABLE","message":"down for maintenance"}]}`)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	private := httptest.NewTLSServer(http.NotFoundHandler()) // with a CA that no builder knows
	defer private.Close()
	for i, c := range []struct {
		dockerfile string
		status     int32
		want       error
	}{
		{"FROM " + host + "/x:1", 503, buildkit.ErrSource},
		{"FROM " + host + "/x:1", 502, buildkit.ErrSource},
		{"FROM " + host + "/x:1", 504, buildkit.ErrSource},
		{"FROM " + host + "/x:1", 429, buildkit.ErrSource},
		{"FROM " + host + "/x:1", 404, buildkit.ErrBuild},
		{"FROM 127.0.0.1:1/x:1", 0, buildkit.ErrSource},
		{"FROM registry.invalid/x:1", 0, buildkit.ErrSource},
		{"FROM scratch\nCOPY --from=" + host + "/x:1 / /", 503, buildkit.ErrSource},
		{"FROM scratch\nADD " + server.URL + "/f /", 503, buildkit.ErrSource},
		{"FROM scratch\nADD " + server.URL + "/f /", 404, buildkit.ErrBuild},
		{"FROM scratch\nADD " + server.URL + "/f /", 502, buildkit.ErrSource},
		{"FROM scratch\nADD " + server.URL + "/f /", 504, buildkit.ErrSource},
		{"FROM scratch\nADD http://127.0.0.1:1/f /", 0, buildkit.ErrSource},
		{"FROM scratch\nADD " + private.URL + "/f /", 0, buildkit.ErrSource},
		{"FROM scratch\nADD " + server.URL + "/r.git /", 503, buildkit.ErrSource},
		{"FROM scratch\nADD " + server.URL + "/r.git /", 404, buildkit.ErrBuild},
		{"FROM scratch\nADD http://127.0.0.1:1/r.git /", 0, buildkit.ErrSource},
		{"FROM scratch\nADD " + private.URL + "/r.git /", 0, buildkit.ErrSource},
		{"# syntax=" + host + "/fe:1\nFROM scratch", 503, buildkit.ErrSource},
		{"# syntax=" + host + "/fe:1\nFROM scratch", 404, buildkit.ErrBuild},
		{"FROM scratch\nCOPY nothing /", 0, buildkit.ErrBuild},
		{"FROM scratch\nBOGUS", 0, buildkit.ErrBuild},
	} {
		answer.Store(c.status)
		req := b.template(t, fmt.Sprintf("source%d", i),
			parts.Text("Dockerfile", c.dockerfile+"\n"))
		req.AllowedFrontends = []string{host + "/fe"}
		_, _, err := solve(t, b, req)
		wantKind(t, fmt.Sprintf("%q, %d", c.dockerfile, c.status), err, c.want)
		t.Logf("%q, %d: %v", c.dockerfile, c.status, err)
	}
}

func wantKind(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want the kind %v", what, err, kind)
	}
}

// sourceThatComesBack: the call need not be repeated.
func sourceThatComesBack(t *testing.T, b *bench) {
	defer buildkit.SetSourcePauses(time.Second, time.Second, time.Second)()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "here")
	}))
	defer server.Close()
	req := b.busybox(t, "comesback", []string{"RUN echo once", "ADD " + server.URL + "/f /",
		"RUN cat /f"})
	_, out := mustSolve(t, b, req)
	if strings.Count(out, "once\n") < 1 || !strings.Contains(out, "here") {
		t.Errorf("output is\n%s", out)
	}

	// Without the cache another try would run the steps before it again.
	requests.Store(0)
	req.NoCache = true
	_, out, err := solve(t, b, req)
	wantError(t, err, buildkit.ErrSource)
	if n := strings.Count(out, "once\n"); n > 1 {
		t.Errorf("a step ran %d times:\n%s", n, out)
	}
}

func treeThatCannotBeBuilt(t *testing.T, b *bench) {
	for name, files := range map[string][]parts.File{
		"folder":     {parts.Text("Dockerfile/x", "y")},
		"brokenlink": {parts.Link("Dockerfile", "nowhere")},
		"loop":       {parts.Link("Dockerfile", "Dockerfile")},
		"emptytree":  nil,
		"big":        {parts.Text("Dockerfile", "FROM scratch\n"+strings.Repeat("#", 1<<20))},
		"bigignore": {parts.Text("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"),
			parts.Text(".dockerignore", strings.Repeat("#", 1<<20+1))},
		"ignore": {parts.Text("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"),
			parts.Text(".dockerignore/x", "y")},
	} {
		_, _, err := solve(t, b, b.template(t, name, files...))
		if !errors.Is(err, buildkit.ErrRefused) {
			t.Errorf("%s: %v, want the kind %v", name, err, buildkit.ErrRefused)
		}
		t.Logf("%s: %v", name, err)
	}
}

// killedStep: without the builder's word a kill is taken for one for want of memory.
func killedStep(t *testing.T, b *bench) {
	_, _, err := solve(t, b, b.busybox(t, "killed", []string{"RUN sh -c 'kill -9 $$' || exit 137"}))
	if !errors.Is(err, buildkit.ErrBuild) && !errors.Is(err, buildkit.ErrExhausted) {
		t.Errorf("error is %v", err)
	}
	t.Logf("%v", err)
}

// stalledSource: a server that takes a request and never answers is no fault of the template, and a
// step that hangs is.
func stalledSource(t *testing.T, b *bench) {
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		<-r.Context().Done()
	}))
	defer hanging.Close()
	host := strings.TrimPrefix(hanging.URL, "http://")
	for i, c := range []struct {
		lines []string
		want  error
	}{
		{[]string{"COPY --from=" + host + "/x:1 / /"}, buildkit.ErrSource},
		{[]string{"ADD " + hanging.URL + "/f /"}, buildkit.ErrSource},
		{[]string{"ADD " + hanging.URL + "/r.git /"}, buildkit.ErrSource},
		{[]string{"RUN sleep 600"}, buildkit.ErrStalled},
	} {
		req := b.busybox(t, fmt.Sprintf("stalled%d", i), c.lines)
		req.StallAfter = 3 * time.Second
		_, _, err := solve(t, b, req)
		if !errors.Is(err, c.want) || !errors.Is(err, buildkit.ErrStalled) ||
			errors.Is(err, buildkit.ErrSource) != errors.Is(c.want, buildkit.ErrSource) {
			t.Errorf("%q: %v, want the kind %v", c.lines, err, c.want)
		}
		t.Logf("%q: %v", c.lines, err)
	}
	req := b.busybox(t, "stalledfetch", nil)
	remote, err := git.ParseRemote(hanging.URL + "/r.git")
	if err != nil {
		t.Fatal(err)
	}
	req.Remote, req.StallAfter = remote, 3*time.Second
	_, _, err = solve(t, b, req)
	wantError(t, err, buildkit.ErrFetch, "nothing moved for 3s")
	t.Logf("%v", err)
}
