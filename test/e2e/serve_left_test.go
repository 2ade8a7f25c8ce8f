package e2e_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestNothingIsLeftAfterAThousandRequests of all kinds: of a server in this process no goroutine,
// of one that is a process no file descriptor.
func TestNothingIsLeftAfterAThousandRequests(t *testing.T) {
	partstest.OnSomeDays(t)
	const requests, spare = 1000, 10
	s := newScene(t, containerdOwn)
	s.prepare(t, "RUN echo left")
	srv := serveHere(t, s.open(t))
	s.many(t, srv, 100)
	before := goroutines()
	s.many(t, srv, requests)
	eventually(t, "no more goroutines than before", func() bool { return goroutines() <= before })

	p, srv := s.serve(t)
	s.many(t, srv, 100)
	files := p.files(t)
	s.many(t, srv, requests)
	var now int
	// Connections that wait for the next request come and go.
	eventually(t, "no more files than before", func() bool {
		now = p.files(t)
		return now <= files+spare
	})
	t.Logf("%d goroutines; %d files before, %d after", before, files, now)
}

// many makes requests ten at a time, and returns when the server has nothing to do.
func (s *scene) many(t *testing.T, srv *serveClient, n int) {
	t.Helper()
	build := srv.ask(t.Context(), "POST", "/v1/images/"+runtime, `{"no_cache":true}`)
	id := want[accepted](t, build, 202).Build.ID
	var all sync.WaitGroup
	failures := make(chan error, 10)
	for lane := range 10 {
		all.Go(func() {
			for i := lane; i < n; i += 10 {
				if err := srv.oneOfMany(t.Context(), i/10, id); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	srv.client.CloseIdleConnections()
	eventually(t, "no build under way", func() bool {
		return !slices.ContainsFunc(srv.builds(t), func(b pinion.BuildStatus) bool {
			return b.Ended.IsZero()
		})
	})
	srv.client.CloseIdleConnections()
}

// oneOfMany makes one request or two that belong together.
func (s *serveClient) oneOfMany(ctx context.Context, i int, build string) error {
	wrong := func(r reply, status int) error {
		if r.err == nil && r.status != status {
			return fmt.Errorf("request %d: status %d, not %d: %s", i, r.status, status, r.text)
		}
		return r.err
	}
	switch i % 5 {
	case 0:
		return wrong(s.ensure(ctx), 200)
	case 1:
		return wrong(s.ask(ctx, "POST", "/v1/images/nonesuch?wait=true", ""), 404)
	case 2:
		events, err := s.events(ctx, build)
		if n := len(events); err == nil && (n == 0 || events[n-1].Type != pinion.EventDone) {
			err = fmt.Errorf("request %d: %d events without an end", i, n)
		}
		return err
	case 3:
		ctx, leave := context.WithTimeout(ctx, 5*time.Millisecond)
		defer leave()
		_ = s.ensure(ctx) // any result is fine
		return nil
	default:
		return wrong(s.ask(ctx, "GET", "/v1/images", ""), 200)
	}
}

// files counts the process's descriptors, by proc_pid_fd(5).
func (p *process) files(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.Process.Pid))
	if err != nil || len(found) == 0 {
		t.Fatalf("%d files, %v", len(found), err)
	}
	return len(found)
}
