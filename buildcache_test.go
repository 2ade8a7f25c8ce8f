package pinion

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

func TestBuildCacheIsCheckedByNew(t *testing.T) {
	for _, spec := range []string{BuildCacheAuto, BuildCacheOff, BuildCacheLocal,
		BuildCacheRegistry + "registry.example.com/cache"} {
		if _, err := New(WithConfig(emptyConfig(t)), WithBuildCache(spec)); err != nil {
			t.Errorf("%q: %v", spec, err)
		}
	}
	for _, spec := range []string{"", "on", "registry:cache"} {
		if _, err := New(
			WithConfig(emptyConfig(t)), WithBuildCache(spec),
		); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

// savingWorld has a builder outside the engine that saves its cache as BuildKit does.
func savingWorld(t *testing.T, opts ...Option) (*world, *[]buildkit.CacheSave) {
	t.Helper()
	w := newWorld(t, opts...)
	var mu sync.Mutex // several lines are saved at once
	var saved []buildkit.CacheSave
	w.builder.kind, w.builder.graph = buildkit.KindBuildkitd, &pb.Definition{Def: [][]byte{{1}}}
	w.builder.save = func(ctx context.Context, s buildkit.CacheSave) (ocispecs.Descriptor, error) {
		mu.Lock()
		saved = append(saved, s)
		mu.Unlock()
		manifest := []byte(`{"schemaVersion":2,"layers":[]}`)
		d := ocispecs.Descriptor{Digest: digest.FromBytes(manifest), Size: int64(len(manifest))}
		for _, store := range s.Stores {
			// it may be there
			_ = content.WriteBlob(ctx, store, "manifest", bytes.NewReader(manifest), d)
		}
		return d, nil
	}
	return w, &saved
}

func (w *world) close(t *testing.T) {
	t.Helper()
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestBuildCacheOfBuilders(t *testing.T) {
	for _, c := range []struct {
		spec string
		kind buildkit.Kind
		want string
	}{
		{"auto", buildkit.KindDocker, ""},
		{"auto", buildkit.KindBuildkitd, "local"},
		{"auto", buildkit.KindManaged, "local"},
		{"local", buildkit.KindDocker, "local"},
		{"off", buildkit.KindBuildkitd, ""},
		{"registry:example.com/c", buildkit.KindDocker, "registry"},
	} {
		w, saved := savingWorld(t, WithBuildCache(c.spec))
		w.builder.kind = c.kind
		w.ensure(t)
		w.close(t)
		got := ""
		if len(*saved) > 0 {
			got = (*saved)[0].Exports[0].Type
		}
		if got != c.want || w.builder.closed != 1 {
			t.Errorf("%s with %s: saved to %q; builder closed %d times", c.spec, c.kind, got,
				w.builder.closed)
		}
	}
}

// TestBuildCacheOfLabelledImages: a label with the number of a CI run makes no cache of its own.
func TestBuildCacheOfLabelledImages(t *testing.T) {
	w, _ := savingWorld(t)
	w.ensure(t, Label("ci.run", "1"))
	w.close(t)
	w.heads.sha = shaB
	img := w.ensure(t, Label("ci.run", "2"))
	w.close(t)
	if img.Cache == nil || !slices.Equal(img.Cache.Imported, []string{shaA}) {
		t.Errorf("the receipt says %+v", img.Cache)
	}
}

// TestOneFolderForManyCaches: several templates save to one folder at once.
func TestOneFolderForManyCaches(t *testing.T) {
	w, _ := savingWorld(t, WithBuildCache(BuildCacheOff))
	manifest := []byte(`{"schemaVersion":2,"layers":[]}`)
	w.builder.save = func(context.Context, buildkit.CacheSave) (ocispecs.Descriptor, error) {
		return ocispecs.Descriptor{Digest: digest.FromBytes(manifest),
			Size: int64(len(manifest))}, nil
	}
	folder := filepath.Join(t.TempDir(), "shared")
	for _, name := range w.Names() {
		if _, err := w.Ensure(t.Context(), name, CacheTo("type=local,dest="+folder+",tag="+
			name)); err != nil {
			t.Fatal(err)
		}
	}
	w.close(t)
	body, err := os.ReadFile(filepath.Join(folder, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range w.Names() {
		if !bytes.Contains(body, []byte(`"`+name+`"`)) {
			t.Errorf("the cache of %s is lost", name)
		}
	}
}

// TestTwoProcessesSaveToOneFolder: one after the other, since they share no memory.
func TestTwoProcessesSaveToOneFolder(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		var worlds []*world
		for name, to := range map[string]string{"claude-code": dir + "/shared",
			"hermes": dir + "/x/../shared"} {
			w, _ := savingWorld(t, WithBuildCache(BuildCacheOff), WithCacheDir(dir+"/cache"))
			save := w.builder.save
			w.builder.save = func(
				ctx context.Context, s buildkit.CacheSave,
			) (ocispecs.Descriptor, error) {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				time.Sleep(time.Second) // of synctest's clock: for the other one
				return save(ctx, s)
			}
			if _, err := w.Ensure(t.Context(), name,
				CacheTo("type=local,dest="+to+",tag="+name)); err != nil {
				t.Fatal(err)
			}
			worlds = append(worlds, w)
		}
		for _, w := range worlds {
			w.close(t)
		}
		if n := most.Load(); n != 1 {
			t.Errorf("%d saves at once", n)
		}
	})
	body, err := os.ReadFile(filepath.Join(dir, "shared", "index.json"))
	if err != nil || !bytes.Contains(body, []byte(`"claude-code"`)) ||
		!bytes.Contains(body, []byte(`"hermes"`)) {
		t.Errorf("the index is %s, %v", body, err)
	}
}

func TestBuildCacheImports(t *testing.T) {
	w, saved := savingWorld(t)
	if img := w.ensure(t); img.Cache != nil {
		t.Errorf("the first build was offered %+v", img.Cache)
	}
	w.close(t)
	w.heads.sha = shaB
	img := w.ensure(t)
	w.close(t)
	if img.Cache == nil || img.Cache.From != "local" ||
		!slices.Equal(img.Cache.Imported, []string{shaA}) {
		t.Errorf("the receipt says %+v", img.Cache)
	}
	if got := w.builder.built[1].CacheImports; len(got) != 1 || got[0].Type != "local" {
		t.Errorf("the builder was offered %+v", got)
	}
	if len(*saved) != 2 || len((*saved)[1].Imports) != 1 {
		t.Errorf("saved %+v", *saved)
	}
	// Two registries that hang would keep all others from being saved.
	for _, s := range *saved {
		if s.StallAfter < time.Minute || s.StallAfter > 20*time.Minute {
			t.Errorf("a save that hangs ends after %s", s.StallAfter)
		}
	}
	// What is there is not saved again, unless no step came from a cache.
	if err := os.RemoveAll(filepath.Join(w.settings.cacheDir, "records")); err != nil {
		t.Fatal(err)
	}
	w.ensure(t)
	w.close(t)
	if len(*saved) != 2 {
		t.Errorf("saved %d times", len(*saved))
	}
	img = w.ensure(t, NoCache())
	w.close(t)
	if got := w.builder.built[3]; len(*saved) != 3 || len(got.CacheImports) > 0 ||
		img.Cache != nil {
		t.Errorf("saved %d times; offered %+v", len(*saved), got.CacheImports)
	}
}

// TestBuildCacheUnreadable: of a cache that failed a build what is damaged is forgotten, whether or
// not anything can be saved, and nothing else is.
func TestBuildCacheUnreadable(t *testing.T) {
	for name, c := range map[string]struct {
		damaged, graph bool
		want           []string
	}{
		"damaged":                      {true, true, []string{shaB}},
		"damaged, and nothing to save": {true, false, nil},
		"sound":                        {false, true, []string{shaB, shaA}},
	} {
		t.Run(name, func(t *testing.T) {
			w, saved := savingWorld(t)
			w.ensure(t)
			w.close(t)
			w.heads.sha = shaB
			w.builder.importFailed = errors.New("blob not found")
			if !c.graph {
				w.builder.graph = nil
			}
			// Spoiled while the builder reads: what is wrong before is not offered to it.
			w.builder.wait = func(context.Context) error {
				if !c.damaged {
					return nil
				}
				return w.spoilBuildCache()
			}
			img := w.ensure(t)
			w.close(t)
			if img.Cache != nil || len(img.Warnings) != 1 ||
				!strings.Contains(img.Warnings[0], "blob not found") {
				t.Errorf("warnings %q, cache %+v", img.Warnings, img.Cache)
			}
			if got := w.savedCaches(t); !slices.Equal(got, c.want) {
				t.Errorf("entries %v", got)
			}
			if c.graph && (len(*saved) != 2 || len((*saved)[1].Imports) > 0) {
				t.Errorf("saved %+v", *saved)
			}
			if w.builder.closed != 2 {
				t.Errorf("builders were closed %d times", w.builder.closed)
			}
		})
	}
}

// spoilBuildCache changes a byte of each blob and no size.
func (w *world) spoilBuildCache() error {
	blobs, err := filepath.Glob(filepath.Join(w.settings.cacheDir, "buildkit", "*", "blobs",
		"sha256", "*"))
	if err == nil && len(blobs) == 0 {
		err = errors.New("there is no blob")
	}
	for _, b := range blobs {
		data, readErr := os.ReadFile(b)
		err = errors.Join(err, readErr, os.Chmod(b, 0o600),
			os.WriteFile(b, bytes.ToUpper(data), 0o600))
	}
	return err
}

// savedCaches are the commits whose caches are there, the newest first.
func (w *world) savedCaches(t *testing.T) (revisions []string) {
	t.Helper()
	dir, err := w.records()
	if err != nil {
		t.Fatal(err)
	}
	entries, _, err := dir.BuildCaches()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		revisions = append(revisions, e.Revision)
	}
	return revisions
}

// TestBuildCacheLatest: while one commit's cache is being saved, the latest of the others waits.
func TestBuildCacheLatest(t *testing.T) {
	w, saved := savingWorld(t)
	save, began, goOn := w.builder.save, make(chan struct{}, 3), make(chan struct{})
	w.builder.save = func(ctx context.Context, s buildkit.CacheSave) (ocispecs.Descriptor, error) {
		began <- struct{}{}
		<-goOn
		return save(ctx, s)
	}
	for _, sha := range []string{shaA, shaB, strings.Repeat("c", 40), strings.Repeat("d", 40)} {
		w.heads.sha = sha
		w.ensure(t)
		if sha == shaA {
			<-began
		}
	}
	if w.builder.closed != 2 {
		t.Errorf("%d builders were let go, not the two that wait no longer", w.builder.closed)
	}
	close(goOn)
	w.close(t)
	if got := w.savedCaches(t); len(*saved) != 2 ||
		!slices.Equal(got, []string{strings.Repeat("d", 40), shaA}) || w.builder.closed != 4 {
		t.Errorf("saved %d times; entries %v; builders were closed %d times", len(*saved), got,
			w.builder.closed)
	}
}

// TestFault44_BuildCache: a cache that cannot be used or saved is a warning.
func TestFault44_BuildCache(t *testing.T) {
	var log bytes.Buffer
	w, _ := savingWorld(t, WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		WithToken("s3cr3t-canary"))
	w.builder.save = func(context.Context, buildkit.CacheSave) (ocispecs.Descriptor, error) {
		return ocispecs.Descriptor{}, errors.New("no space left, says s3cr3t-canary")
	}
	if img := w.ensure(t); img.Outcome != OutcomeBuilt {
		t.Errorf("outcome %s", img.Outcome)
	}
	w.close(t)
	if text := log.String(); !strings.Contains(text, "level=WARN") ||
		!strings.Contains(text, "no space left") || strings.Contains(text, "s3cr3t") {
		t.Errorf("the log says %s", text)
	}

	w, saved := savingWorld(t)
	if err := os.MkdirAll(w.settings.cacheDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.settings.cacheDir, "buildkit"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	img := w.ensure(t)
	w.close(t)
	if len(img.Warnings) != 1 || !strings.Contains(img.Warnings[0], "build cache") ||
		len(*saved) > 0 || w.builder.closed != 1 {
		t.Errorf("warnings %q, saved %+v", img.Warnings, *saved)
	}
}

// TestCloseBreaksOff: who does not wait ends the saving.
func TestCloseBreaksOff(t *testing.T) {
	w, _ := savingWorld(t)
	began := make(chan struct{})
	w.builder.save = func(ctx context.Context, _ buildkit.CacheSave) (ocispecs.Descriptor, error) {
		close(began)
		<-ctx.Done()
		return ocispecs.Descriptor{}, context.Cause(ctx)
	}
	w.ensure(t)
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if w.builder.closed != 1 {
		t.Errorf("the builder was closed %d times", w.builder.closed)
	}
	w.close(t)
}

func TestPruneBuildCaches(t *testing.T) {
	w, _ := savingWorld(t)
	w.ensure(t)
	w.close(t)
	before, err := w.DiskUsage(t.Context())
	if err != nil || before.BuildCache == 0 {
		t.Fatalf("usage %+v, %v", before, err)
	}
	r, err := w.Prune(t.Context(), PruneOptions{})
	if err != nil || len(r.BuildCache.Kept) != 1 || r.BuildCache.Remaining != before.BuildCache {
		t.Errorf("pruned %+v, %v", r.BuildCache, err)
	}
	r, err = w.Prune(t.Context(), PruneOptions{CacheMaxSize: 1})
	if err != nil || len(r.BuildCache.Removed) != 1 || r.BuildCache.Reclaimed != before.BuildCache {
		t.Errorf("pruned %+v, %v", r.BuildCache, err)
	}
}
