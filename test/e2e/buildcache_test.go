package e2e_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	bkclient "github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// counter counts which steps ran: each asks it for a path.
type counter struct {
	url string
	mu  sync.Mutex
	ran map[string]int
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{ran: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ran[strings.TrimPrefix(r.URL.Path, "/")]++
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// run is a step that is counted, and makes a layer.
func (c *counter) run(step string) string {
	return "RUN wget -q -O /" + step + " " + c.url + "/" + step + " && echo " + step + " >> /" + step
}

func (c *counter) want(t *testing.T, step string, times int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ran[step] != times {
		t.Errorf("%s ran %d times, not %d", step, c.ran[step], times)
	}
}

// steps records what a build's steps came to.
type steps struct {
	mu     sync.Mutex
	cached map[string]bool // by name
}

func (s *steps) option() pinion.Option {
	s.cached = map[string]bool{}
	return pinion.WithProgress(func(_ string, status *bkclient.SolveStatus) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, v := range status.Vertexes {
			if v.Completed != nil && strings.HasPrefix(v.Name, "[") {
				s.cached[v.Name] = v.Cached
			}
		}
	})
}

// wantCached checks that all steps but those that hold one of the words come from the cache.
func (s *steps) wantCached(t *testing.T, but ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := 0
	for name, cached := range s.cached {
		changed := slices.ContainsFunc(but, func(word string) bool { return strings.Contains(name, word) })
		if cached == changed && !strings.Contains(name, "[internal]") {
			t.Errorf("step %q: cached is %t", name, cached)
		}
		seen++
	}
	if seen < 3 {
		t.Errorf("saw only the steps %v", s.cached)
	}
}

// cacheTemplate has two stages, three steps that are counted, and a last one that copies what changes.
type cacheTemplate struct {
	template
	count *counter
}

func newCacheTemplate(t *testing.T, s *scene) cacheTemplate {
	t.Helper()
	return cacheTemplate{s.template(t, runtime, parts.RepoOptions{}), newCounter(t)}
}

func (c cacheTemplate) push(t *testing.T, word string) string {
	t.Helper()
	files := busybox(t, c.count.run("base"), "FROM base AS tools", c.count.run("tools"),
		"FROM base", c.count.run("last"), "COPY --from=tools /tools /from-tools", "COPY word /word")
	files[0].Data = []byte(strings.Replace(string(files[0].Data), "FROM scratch", "FROM scratch AS base", 1))
	return c.template.push(t, append(files, parts.Text("word", word))...)
}

// wantRuns checks how often the steps ran so far.
func (c cacheTemplate) wantRuns(t *testing.T, times int) {
	t.Helper()
	for _, step := range []string{"base", "tools", "last"} {
		c.count.want(t, step, times)
	}
}

// emptyBuilder is a buildkitd that has built nothing.
func emptyBuilder(t *testing.T) *parts.Buildkitd {
	t.Helper()
	return partstest.Buildkitd(t, parts.BuildkitdOptions{})
}

// on is the scene's user with another builder.
func (s *scene) on(b *parts.Buildkitd) user { return s.with("BUILDKIT_HOST", b.Addr()) }

// built builds with one orchestrator, and returns when the cache is saved too.
func (u user) built(t *testing.T, opts ...pinion.Option) pinion.Image {
	t.Helper()
	o := u.open(t, opts...)
	img, err := o.Ensure(t.Context(), runtime)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if img.Outcome != pinion.OutcomeBuilt {
		t.Fatalf("outcome is %s", img.Outcome)
	}
	return img
}

// forget makes the next build none of a hit.
func (u user) forget(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(u.cacheDir(), "records")); err != nil {
		t.Fatal(err)
	}
}

func (u user) noWarnings(t *testing.T, img pinion.Image) {
	t.Helper()
	if len(img.Warnings) > 0 {
		t.Errorf("warnings %q", img.Warnings)
	}
}

// TestBuildCacheLocal: what one builder made, a new one repeats no step of.
func TestBuildCacheLocal(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl := newCacheTemplate(t, s)
	first := tmpl.push(t, "one")
	if img := s.on(emptyBuilder(t)).built(t); img.Cache != nil {
		t.Errorf("the first build was offered %+v", img.Cache)
	}
	tmpl.wantRuns(t, 1)

	second := tmpl.push(t, "two")
	var seen steps
	b := emptyBuilder(t)
	img := s.on(b).built(t, seen.option())
	s.wantImage(t, img)
	tmpl.wantRuns(t, 1)
	seen.wantCached(t, "COPY word")
	if img.Cache == nil || img.Cache.From != "local" || !slices.Equal(img.Cache.Imported, []string{first}) {
		t.Errorf("the receipt says %+v", img.Cache)
	}

	// Another new one gets all of it from what the second saved, which itself had most of it from the first.
	s.forget(t)
	img = s.on(emptyBuilder(t)).built(t)
	tmpl.wantRuns(t, 1)
	if img.Cache == nil || !slices.Equal(img.Cache.Imported, []string{second, first}) {
		t.Errorf("the receipt says %+v", img.Cache)
	}
}
