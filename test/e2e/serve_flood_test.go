package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestFault59_AFloodOverHTTP: a step with 200 MB of output, on a builder that does not cut it
// short, with one who follows it, one who takes nothing, and one who comes late. The server holds
// little of it, and both who read get the newest lines and the end.
func TestFault59_AFloodOverHTTP(t *testing.T) {
	const (
		flood = 200_000_000
		limit = 100 << 20
		kept  = 1 << 20 // of output, for each build
		end   = "the last line"
	)
	s := newScene(t, containerdOwn)
	b := partstest.Buildkitd(t,
		parts.BuildkitdOptions{Env: []string{"BUILDKIT_STEP_LOG_MAX_SIZE=-1",
			"BUILDKIT_STEP_LOG_MAX_SPEED=-1"}})
	gate := newBuildGate(t)
	s.prepare(t, gate.add(), fmt.Sprintf("RUN yes %s | head -c %d && echo && echo %s",
		strings.Repeat("x", 999), flood, end))
	p, srv := s.with("BUILDKIT_HOST", b.Addr()).serve(t)
	id := srv.begin(t, runtime).Build.ID
	receive(t, "the build", gate.arrived)
	deaf, err := srv.open(t.Context(), "/v1/builds/"+id+"/events")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Body.Close()
	reader := make(chan followed, 1)
	go func() { reader <- srv.follow(t.Context(), id) }()
	gate.open()
	got := receive(t, "the end of the events", reader)
	got.wantWhole(t, "who followed", end)
	late := srv.follow(t.Context(), id)
	late.wantWhole(t, "who came late", end)
	if late.output == 0 || late.output > kept {
		t.Errorf("%d bytes of output were kept", late.output)
	}
	peak := p.residentSoFar()
	t.Logf("%d bytes of output, %d of them read by who followed, %d kept; %d MB resident at most",
		flood, got.output, late.output, peak>>20)
	if peak == 0 || peak > limit {
		t.Errorf("%d MB were resident, and %d are allowed", peak>>20, limit>>20)
	}
}

// followed is what a reader of a build's events remembers.
type followed struct {
	lines    int
	output   int    // bytes of lines
	line     string // the newest
	last     pinion.Event
	disorder bool
	err      error
}

// open begins a request whose answer is a stream.
func (s *serveClient) open(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	return s.client.Do(req)
}

// follow reads the events one by one, and keeps none but the last.
func (s *serveClient) follow(ctx context.Context, id string) (f followed) {
	resp, err := s.open(ctx, "/v1/builds/"+id+"/events")
	if err != nil {
		return followed{err: err}
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e pinion.Event
		if f.err = json.Unmarshal([]byte(data), &e); f.err != nil {
			return f
		}
		f.disorder = f.disorder || e.ID <= f.last.ID
		f.last = e
		if e.Type == pinion.EventLog {
			f.lines, f.output, f.line = f.lines+1, f.output+len(e.Text), e.Text
		}
	}
	f.err = lines.Err()
	return f
}

// wantWhole expects the events in their order, the last line of output, and the image at the end.
func (f followed) wantWhole(t *testing.T, who, line string) {
	t.Helper()
	if f.err != nil || f.disorder || f.line != line || f.last.Type != pinion.EventDone ||
		f.last.Image == nil {
		t.Errorf("%s got %d lines of %d bytes up to %.60q, and at last %s; out of order: %t; %v",
			who, f.lines, f.output, f.line, f.last.Type, f.disorder, f.err)
	}
}
