package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	bkclient "github.com/moby/buildkit/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
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
	return "RUN wget -q -O /" + step + " " + c.url + "/" + step + " && echo " + step + " >> /" +
		step
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
				// A vertex that was cached and is then fetched is reported twice, once uncached.
				s.cached[v.Name] = s.cached[v.Name] || v.Cached
			}
		}
	})
}

// wantCached checks that all steps come from the cache, except those with one of the words.
func (s *steps) wantCached(t *testing.T, but ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := 0
	for name, cached := range s.cached {
		changed := slices.ContainsFunc(but, func(word string) bool {
			return strings.Contains(name, word)
		})
		if cached == changed && !strings.Contains(name, "[internal]") {
			t.Errorf("step %q: cached is %t", name, cached)
		}
		seen++
	}
	if seen < 3 {
		t.Errorf("saw only the steps %v", s.cached)
	}
}

// cacheTemplate has two stages, three steps that are counted, and a last one that copies what
// changes.
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
	files[0].Data = []byte(strings.Replace(string(files[0].Data), "FROM scratch",
		"FROM scratch AS base", 1))
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

// on is the same user with another builder.
func (u user) on(b *parts.Buildkitd) user { return u.with("BUILDKIT_HOST", b.Addr()) }

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

// forgetRecords makes the next build none of a hit.
func (u user) forgetRecords(t *testing.T) {
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
	if img.Cache == nil || img.Cache.From != "local" ||
		!slices.Equal(img.Cache.Imported, []string{first}) {
		t.Errorf("the receipt says %+v", img.Cache)
	}

	// A third builder gets all steps from the cache of the second, which had most of them from the
	// first. The engine lacks the image, so all layers must be readable.
	s.forgetRecords(t)
	s.remove(t, img.ID, true)
	img = s.on(emptyBuilder(t)).built(t)
	tmpl.wantRuns(t, 1)
	if img.Delivery.Via != buildkit.ViaPull || img.Delivery.Reason != "" {
		t.Errorf("delivered %+v", img.Delivery)
	}
	if img.Cache == nil || !slices.Equal(img.Cache.Imported, []string{second, first}) {
		t.Errorf("the receipt says %+v", img.Cache)
	}
}

// TestBuildCacheRegistry: the same by way of a registry, from a machine that knows of no earlier
// commit.
func TestBuildCacheRegistry(t *testing.T) {
	registry := partstest.Registry(t, parts.RegistryOptions{})
	spec := "registry:" + registry.Host() + "/build-cache"
	s := newScene(t, containerdOwn)
	tmpl := newCacheTemplate(t, s)
	tmpl.push(t, "one")
	s.with("PINION_CACHE", spec).on(emptyBuilder(t)).built(t)
	tmpl.wantRuns(t, 1)

	sha := tmpl.push(t, "two")
	fresh := s.on(emptyBuilder(t)).with("PINION_CACHE", spec, "MOLECULE_LOCAL_BUILD_CACHE",
		filepath.Join(t.TempDir(), "fresh"))
	var seen steps
	img := fresh.built(t, seen.option())
	s.wantImage(t, img)
	tmpl.wantRuns(t, 1)
	seen.wantCached(t, "COPY word")
	if img.Cache == nil || img.Cache.From != "registry" || len(img.Cache.Imported) != 2 ||
		!strings.HasPrefix(img.Cache.Imported[0],
			registry.Host()+"/build-cache/workspace-template-"+runtime+":"+sha+"-") {
		t.Errorf("the receipt says %+v", img.Cache)
	}
	if _, err := os.Stat(filepath.Join(fresh.cacheDir(), "buildkit")); !os.IsNotExist(err) {
		t.Errorf("a folder was made too: %v", err)
	}

	wantZstd(t, registry.URL()+"/v2/"+strings.TrimPrefix(strings.Replace(img.Cache.Imported[0],
		":"+sha, "/manifests/"+sha, 1), registry.Host()+"/"))

	// What the second saved is whole: a third builder needs no other entry.
	fresh.forgetRecords(t)
	s.with("PINION_CACHE", spec).on(emptyBuilder(t)).built(t)
	tmpl.wantRuns(t, 1)
}

// wantZstd: what goes over the network is compressed.
func wantZstd(t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", ocispec.MediaTypeImageManifest)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var manifest ocispec.Manifest
	if err := json.NewDecoder(resp.Body).Decode(&manifest); err != nil ||
		len(manifest.Layers) == 0 {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	for _, l := range manifest.Layers {
		if l.MediaType != ocispec.MediaTypeImageLayerZstd {
			t.Errorf("layer %s is %s", l.Digest, l.MediaType)
		}
	}
}

// TestBuildCacheRegistryGone: a registry that is not there costs a warning.
func TestBuildCacheRegistryGone(t *testing.T) {
	s := newScene(t, containerdStandalone)
	s.prepare(t, "RUN echo no registry")
	r := s.succeed(t, "ensure", runtime, "--cache", "registry:127.0.0.1:1/build-cache")
	wantWords(t, r.stderr, "the build cache was not saved", "127.0.0.1:1")
	if strings.Count(r.stdout, "\n") != 1 {
		t.Errorf("stdout %q", r.stdout)
	}
}

func wantWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in:\n%s", word, text)
		}
	}
}

// TestBuildCacheWithoutFolder: what a builder took from a folder does not bind it to the folder.
func TestBuildCacheWithoutFolder(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl := newCacheTemplate(t, s)
	tmpl.push(t, "one")
	s.on(emptyBuilder(t)).built(t)
	tmpl.push(t, "two")
	second := s.on(emptyBuilder(t))
	second.built(t)
	if err := os.RemoveAll(filepath.Join(s.cacheDir(), "buildkit")); err != nil {
		t.Fatal(err)
	}
	tmpl.push(t, "three")
	img := second.built(t)
	s.wantImage(t, img)
	s.noWarnings(t, img)
	tmpl.wantRuns(t, 1)
	// And what it saves then is whole.
	s.forgetRecords(t)
	s.on(emptyBuilder(t)).built(t)
	tmpl.wantRuns(t, 1)
}

// TestFault46_BuildCachesTogether: many processes save into one folder.
func TestFault46_BuildCachesTogether(t *testing.T) {
	partstest.OnSomeDays(t)
	const processes = 8
	s := newScene(t, containerdStandalone)
	tmpl := newCacheTemplate(t, s)
	var shas []string
	for i := range processes {
		shas = append(shas, tmpl.push(t, strings.Repeat("word ", i+1)))
	}
	var running []*process
	for _, sha := range shas {
		running = append(running, s.start(t, "ensure", runtime, "--sha", sha))
	}
	for _, p := range running {
		r := p.result(t)
		if r.code != 0 || !strings.Contains(r.stderr, "build cache saved") ||
			strings.Contains(r.stderr, "warning") {
			t.Errorf("exit code %d\n%s", r.code, r.stderr)
		}
	}
	tmpl.push(t, "another")
	img := s.on(emptyBuilder(t)).built(t)
	s.noWarnings(t, img)
	if img.Cache == nil || len(img.Cache.Imported) != 3 {
		t.Errorf("the receipt says %+v", img.Cache)
	}
	tmpl.wantRuns(t, 1)
}

// layout is the one folder with a saved cache.
func (u user) layout(t *testing.T) string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(u.cacheDir(), "buildkit", "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("layouts %v, %v", dirs, err)
	}
	return dirs[0]
}

// slowCache is a template whose cache takes a while to save, for its size.
func slowCache(t *testing.T, s *scene) template {
	t.Helper()
	tmpl := s.template(t, runtime, parts.RepoOptions{})
	tmpl.busybox(t, "RUN dd if=/dev/zero of=/zero bs=1M count=256", "RUN echo slow")
	return tmpl
}

// saving starts the command and returns in the middle of the saving.
func (u user) saving(t *testing.T) *process {
	t.Helper()
	p := u.start(t, "ensure", runtime)
	eventually(t, "the saving of a layer", func() bool {
		writing, _ := filepath.Glob(filepath.Join(u.cacheDir(), "buildkit", "*", "ingest", "*"))
		return len(writing) > 0
	})
	return p
}

// TestFault43_KilledWhileSaving: the image is there, and the next build saves what this one did
// not.
func TestFault43_KilledWhileSaving(t *testing.T) {
	partstest.OnSomeDays(t)
	s := newScene(t, containerdStandalone)
	tmpl := slowCache(t, s)
	p := s.saving(t)
	p.kill()
	if out := p.stdout.String(); strings.Count(out, "\n") != 1 {
		t.Errorf("killed before it had said anything: %q", out)
	}
	s.ensure(t, pinion.OutcomeHit)

	tmpl.busybox(t, "RUN dd if=/dev/zero of=/zero bs=1M count=256", "RUN echo next")
	img := s.built(t)
	s.noWarnings(t, img)
	if img.Cache != nil {
		t.Errorf("the receipt says %+v", img.Cache)
	}
	s.forgetRecords(t)
	if img := s.on(emptyBuilder(t)).built(t); img.Cache == nil || len(img.Cache.Imported) != 1 {
		t.Errorf("the receipt says %+v", img.Cache)
	}
	leftovers, _ := filepath.Glob(filepath.Join(s.layout(t), "ingest", "*"))
	if len(leftovers) > 0 {
		t.Errorf("left over: %v", leftovers)
	}
}

// TestInterruptedWhileSaving: the result counts.
func TestInterruptedWhileSaving(t *testing.T) {
	s := newScene(t, containerdStandalone)
	slowCache(t, s)
	p := s.saving(t)
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	r := p.result(t)
	if r.code != 0 || strings.Count(r.stdout, "\n") != 1 {
		t.Errorf("exit code %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
	}
	wantWords(t, r.stderr, "broken off")
	s.ensure(t, pinion.OutcomeHit)
}

// largest is the layer that the template's busybox is in.
func largest(t *testing.T, layout string) (path string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var most int64
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > most {
			path, most = f, info.Size()
		}
	}
	return path
}

// TestFault45_BuildCacheDamaged: a cache that cannot be read costs a warning, and is whole
// afterwards.
func TestFault45_BuildCacheDamaged(t *testing.T) {
	partstest.OnSomeDays(t)
	for _, c := range []struct {
		name, warning string
		damage        func(blob string) error
	}{
		{"a blob is missing", "was not used", os.Remove},
		{"a blob has other bytes", "built a second time", func(blob string) error {
			if err := os.Chmod(blob, 0o600); err != nil {
				return err
			}
			f, err := os.OpenFile(blob, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte("damaged"), 1<<20)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) { damagedCache(t, c.damage, c.warning, false) })
		// For the same commit every step is in the cache, so none runs on a cached result.
		t.Run(c.name+", same commit", func(t *testing.T) {
			damagedCache(t, c.damage, c.warning, true)
		})
	}
}

func damagedCache(t *testing.T, damage func(blob string) error, warning string, sameCommit bool) {
	s := newScene(t, containerdOwn)
	tmpl := newCacheTemplate(t, s)
	tmpl.push(t, "one")
	img := s.on(emptyBuilder(t)).built(t)
	if err := damage(largest(t, s.layout(t))); err != nil {
		t.Fatal(err)
	}
	if sameCommit {
		s.forgetRecords(t)
		s.remove(t, img.ID, true)
	} else {
		tmpl.push(t, "two")
	}
	img = s.on(emptyBuilder(t)).built(t)
	s.wantImage(t, img)
	if len(img.Warnings) != 1 || !strings.Contains(img.Warnings[0], warning) || img.Cache != nil {
		t.Errorf("warnings %q, cache %+v", img.Warnings, img.Cache)
	}
	tmpl.wantRuns(t, 2)

	s.forgetRecords(t)
	img = s.on(emptyBuilder(t)).built(t)
	s.noWarnings(t, img)
	tmpl.wantRuns(t, 2)
}

// TestBuildCacheFailingStep: a step that fails is not tried again for the cache's sake.
func TestBuildCacheFailingStep(t *testing.T) {
	s := newScene(t, containerdStandalone)
	count := newCounter(t)
	tmpl, _ := s.prepare(t, count.run("good"))
	s.built(t)
	tmpl.busybox(t, count.run("good"), count.run("bad")+" && exit 3")
	s.refuse(t, pinion.ErrBuild, "exit code: 3")
	count.want(t, "good", 1)
	count.want(t, "bad", 1)
}

// TestBuildCacheNoCache: each step runs again once, and not a second time for its cache to be
// saved.
func TestBuildCacheNoCache(t *testing.T) {
	s := newScene(t, containerdStandalone)
	count := newCounter(t)
	s.prepare(t, count.run("step"))
	s.built(t)
	o := s.open(t)
	img, err := o.Ensure(t.Context(), runtime, pinion.NoCache())
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	count.want(t, "step", 2)
	if img.Cache != nil {
		t.Errorf("the receipt says %+v", img.Cache)
	}
	// What was saved is what was made last.
	s.forgetRecords(t)
	again := s.on(emptyBuilder(t)).built(t)
	count.want(t, "step", 2)
	if again.ConfigDigest == "" || again.Cache == nil {
		t.Errorf("built %+v", again)
	}
}

// TestBuildCacheHistory: saving leaves nothing in the builder's history.
func TestBuildCacheHistory(t *testing.T) {
	s := newScene(t, containerdOwn)
	b := emptyBuilder(t)
	s.prepare(t, "RUN echo history")
	s.on(b).built(t)
	s.layout(t)
	c, err := bkclient.New(t.Context(), b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if builds := len(partstest.BuildHistory(t, c)); builds != 1 {
		t.Errorf("the history holds %d builds", builds)
	}
}

// TestBuildCacheSecret: the credential of a private repository is nowhere in what is saved, and not
// needed to save.
func TestBuildCacheSecret(t *testing.T) {
	s := newScene(t, containerdStandalone)
	tmpl := s.template(t, runtime, parts.RepoOptions{Private: true})
	tmpl.busybox(t, "RUN echo "+marker+" > /proof")
	c := canary{s.token(t)}
	u := s.with("MOLECULE_GITEA_TOKEN", c.token)
	r := u.succeed(t, "ensure", runtime, "--debug")
	wantWords(t, r.stderr, "build cache saved")
	c.absent(t, "the output", r.stdout+r.stderr)
	c.absentBelow(t, s.layout(t), true)
}

// TestBuildCacheInEngine: an engine's own BuildKit saves nothing unless asked, and where it cannot
// there is a warning.
func TestBuildCacheInEngine(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, _ := s.prepare(t, "RUN echo engine")
		s.noWarnings(t, s.built(t))
		if _, err := os.Stat(filepath.Join(s.cacheDir(), "buildkit")); !os.IsNotExist(err) {
			t.Errorf("a cache was saved: %v", err)
		}
		for range 2 {
			tmpl.busybox(t, "RUN echo engine")
			r := s.succeed(t, "ensure", runtime, "--cache", "local")
			t.Log(r.stderr)
			if strings.Contains(r.stderr, "build cache saved") == strings.Contains(r.stderr,
				"the build cache was not saved") {
				t.Errorf("stderr %s", r.stderr)
			}
		}
	})
}

// TestBuildCacheUsage: du counts saved caches, and prune removes them.
func TestBuildCacheUsage(t *testing.T) {
	partstest.OnSomeDays(t)
	s := newScene(t, containerdStandalone)
	tmpl := newCacheTemplate(t, s)
	for _, word := range []string{"one", "two", "three", "four"} {
		tmpl.push(t, word)
		s.built(t)
	}
	usage := func() int64 {
		u, err := s.open(t).DiskUsage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return u.BuildCache
	}
	before := usage()
	r, err := s.open(t).Prune(t.Context(), pinion.PruneOptions{DryRun: true, CacheMaxSize: 1})
	if err != nil || len(r.BuildCache.Removed) != pinion.DefaultCacheKeep ||
		r.BuildCache.Reclaimed != before || usage() != before {
		t.Errorf("%d bytes; a dry run would do %+v, %v", before, r.BuildCache, err)
	}
	wantWords(t, s.succeed(t, "du").stdout, "Saved build caches: ")
	out := s.succeed(t, "prune", "--cache-max-size", "1kB").stdout
	wantWords(t, out, "(of 3 commits)")
	if after := usage(); before < 1<<20 || after != 0 {
		t.Errorf("%d bytes before, %d after", before, after)
	}
}
