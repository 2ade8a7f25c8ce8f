package e2e_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestServerSavesItsCaches: a server goes on after a build, so no other process saves for it.
func TestServerSavesItsCaches(t *testing.T) {
	s := newScene(t, containerdStandalone)
	s.user = s.with("PINION_WAIT_CACHE", "")
	newCacheTemplate(t, s).push(t, "one")
	p, server := s.serve(t)
	if got := server.ensure(t.Context()); got.status != http.StatusOK {
		t.Fatalf("%d: %s", got.status, got.text)
	}
	eventually(t, "the server's save", func() bool {
		return strings.Contains(p.stderr.String(), "build cache saved")
	})
}

// TestCacheSavedApart: the command ends with the result, and a process of its own saves the cache,
// which the history shows. A second build of the template meanwhile saves after it.
func TestCacheSavedApart(t *testing.T) {
	s := newScene(t, containerdStandalone)
	s.user = s.with("PINION_WAIT_CACHE", "", "PINION_HISTORY",
		filepath.Join(t.TempDir(), "history"))
	tmpl := newCacheTemplate(t, s)
	saves := func() []string {
		text := s.succeed(t, "builds", "ls", "--kind", "save").stdout
		return strings.Split(strings.TrimSpace(text), "\n")[1:]
	}
	for _, word := range []string{"one", "two"} {
		tmpl.push(t, word)
		if r := s.succeed(t, "ensure", runtime); strings.Contains(r.stderr, "cache saved") {
			t.Errorf("the command waited:\n%s", r.stderr)
		}
	}
	// The process of the first may save what the second left, which is newer.
	eventually(t, "the end of the saves", func() bool {
		list := saves()
		for _, line := range list {
			if !strings.Contains(line, "cache saved") {
				return false
			}
		}
		waiting, _ := filepath.Glob(filepath.Join(s.cacheDir(), "saves", "*"))
		return len(list) > 0 && len(waiting) == 0
	})
	last := saves()[0]
	id, _, _ := strings.Cut(last, " ")
	show := s.run(t, "builds", "show", id)
	if !strings.Contains(show.stdout, "Saves cache of") ||
		!strings.Contains(show.stdout, "pinion save-cache") {
		t.Errorf("builds show:\n%s\n%s", show.stdout, show.stderr)
	}
	if !strings.Contains(show.stdout, "exporting cache") {
		t.Errorf("builds show has no step of the export:\n%s", show.stdout)
	}
	// An empty builder repeats nothing but what changed.
	tmpl.push(t, "three")
	img := s.on(emptyBuilder(t)).built(t)
	s.noWarnings(t, img)
	if img.Cache == nil {
		t.Error("the builder was offered no cache")
	}
	tmpl.wantRuns(t, 1)
}
