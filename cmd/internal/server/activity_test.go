package server

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
)

// activityOf opens the stream of the newest builds.
func activityOf(t *testing.T, s *stage, token string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/activity", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the activity is answered by %d", resp.StatusCode)
	}
	return resp
}

// TestActivityOfOneTemplate: builds of others do not push out what a caller may see.
func TestActivityOfOneTemplate(t *testing.T) {
	list := readCallers(t, "one, templates: [mine]", "all, rights: [see, build]")
	s := newStage(t, WithCallers(func() access.List { return list }))
	build := func(name string) {
		t.Helper()
		a := s.ask(t, http.MethodPost, "/v1/images/"+name, "", "Authorization", "Bearer ALL")
		if a.StatusCode != http.StatusAccepted {
			t.Fatal(a.text)
		}
		s.backend.build(name).finish()
	}
	build("mine")
	for range recentBuilds + 5 {
		build("other")
	}
	first := func(token string) string {
		in := bufio.NewScanner(activityOf(t, s, token).Body)
		in.Buffer(nil, 1<<20)
		for in.Scan() && !strings.HasPrefix(in.Text(), "data: ") {
			continue
		}
		return in.Text()
	}
	if got := first("ONE"); strings.Count(got, `"name":"mine"`) == 0 ||
		strings.Contains(got, "other") {
		t.Errorf("one sees %s", got)
	}
	if got := first("ALL"); !strings.Contains(got, "other") || strings.Contains(got, "mine") {
		t.Errorf("all sees %s", got)
	}
}

// TestActivityEndsWithTheCaller: a stream ends soon after its token is revoked, also while builds
// change all the time.
func TestActivityEndsWithTheCaller(t *testing.T) {
	var list atomic.Pointer[access.List]
	callers := readCallers(t, "all, rights: [see, build]", "other, rights: [see]")
	list.Store(&callers)
	s := newStage(t, WithCallers(func() access.List { return *list.Load() }),
		withLimits(func(l *limits) { l.heartbeat = time.Millisecond }))
	a := s.ask(t, http.MethodPost, "/v1/images/made", "", "Authorization", "Bearer ALL")
	if a.StatusCode != http.StatusAccepted {
		t.Fatal(a.text)
	}
	resp := activityOf(t, s, "ALL")
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, resp.Body)
		ended <- err
	}()
	revoked := callers[1:]
	list.Store(&revoked)
	deadline := time.After(5 * time.Second)
	for {
		s.backend.build("made").setStatus(func(b *pinion.BuildStatus) { b.Position++ })
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			return
		case <-deadline:
			t.Fatal("the stream goes on")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
