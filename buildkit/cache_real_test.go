package buildkit_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bkclient "github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// noCache is an import that leads nowhere. BuildKit does not fail because of it.
var noCache = []buildkit.CacheEntry{{Type: "registry",
	Attrs: map[string]string{"ref": "127.0.0.1:1/none:x"}}}

// builds returns the number of builds in a buildkitd's history.
func builds(t *testing.T, addr string) int {
	t.Helper()
	c, err := bkclient.New(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return len(partstest.BuildHistory(t, c))
}

// TestImportsNotBlamed: an error of the Dockerfile leads to no second try without the imports.
func TestImportsNotBlamed(t *testing.T) {
	defer buildkit.SetSourcePauses()() // a source that is not available is not asked again
	b := ownBench(t, "buildkitd")
	for i, c := range []struct {
		line string
		kind error
		word string
	}{
		{"NOSUCH instruction", buildkit.ErrBuild, "unknown instruction"},
		{"COPY nosuch /", buildkit.ErrBuild, "nosuch"},
		{"COPY --from=127.0.0.1:1/nosuch:1 /a /", buildkit.ErrSource, "nosuch"},
		{"RUN exit 3", buildkit.ErrBuild, "exit code 3"},
	} {
		req := b.busybox(t, "wrong"+string(rune('a'+i)), []string{c.line})
		req.CacheImports = noCache
		_, _, err := solve(t, b, req)
		wantError(t, err, c.kind, c.word, "Dockerfile:4")
		if n := builds(t, b.Info().Endpoint); n != i+1 {
			t.Fatalf("%s: %d builds", c.line, n-i)
		}
	}
}

// TestFault60_BuilderRestarts in the middle of a build that imports: no second build follows.
func TestFault60_BuilderRestarts(t *testing.T) {
	own := ownBench(t, "buildkitd")
	d := partstest.Buildkitd(t, parts.BuildkitdOptions{})
	back := make(chan struct{})
	builder, err := buildkit.Dial(t.Context(), "unix://"+late(t, d.Socket(), back), buildkit.TLS{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = builder.Close() })
	req := own.busybox(t, "restarts", []string{"RUN echo started && sleep 10"})
	req.CacheImports = noCache
	var tr transcript
	req.Progress = tr.record
	go func() {
		defer close(back)
		for !strings.Contains(tr.String(), "started\n") && t.Context().Err() == nil {
			waitABit(t)
		}
		if err := d.Restart(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	_, err = builder.Solve(t.Context(), req, discard{})
	wantError(t, err, buildkit.ErrNoBuilder, "stopped answering")
	wantSituation(t, err, errdef.BuilderDown, builder.Info().Endpoint)
	if n := strings.Count(tr.String(), "started\n"); n != 1 {
		t.Errorf("the step ran %d times", n)
	}
	mustSolve(t, &bench{Builder: builder, git: own.git}, own.busybox(t, "next", nil))
}

// late is a proxy before a socket. It closes connections only after back is closed.
func late(t *testing.T, socket string, back <-chan struct{}) (path string) {
	t.Helper()
	path = filepath.Join(filepath.Dir(socket), "late.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("unix", socket)
				if err != nil {
					return
				}
				defer out.Close()
				go func() { _, _ = io.Copy(out, in) }()
				_, _ = io.Copy(in, out)
				<-back
			}()
		}
	}()
	return path
}

// TestSaveThatStalls: a registry that takes no layer ends the save of a cache, and not the builder.
func TestSaveThatStalls(t *testing.T) {
	b := ownBench(t, "buildkitd")
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/v2/":
		case r.Method == http.MethodPost:
			<-gone
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	defer close(gone)
	res, _ := mustSolve(t, b, b.busybox(t, "stalls", []string{"RUN echo saved > /f"}))
	_, err := b.SaveCache(t.Context(), buildkit.CacheSave{Graph: res.Graph,
		Exports: []buildkit.CacheEntry{{Type: "registry", Attrs: map[string]string{
			"ref": strings.TrimPrefix(server.URL, "http://") + "/cache:x"}}},
		StallAfter: 3 * time.Second})
	if !errors.Is(err, buildkit.ErrCache) || !errors.Is(err, buildkit.ErrStalled) {
		t.Errorf("error is %v", err)
	}
	mustSolve(t, b, b.busybox(t, "next", nil))
}
