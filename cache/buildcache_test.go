package cache_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/cache"
)

const (
	cacheLine = "0123456789abcdef"
	template  = "hermes"
)

// exporting writes what BuildKit writes: layers, a config, and a manifest of them.
func exporting(layers ...string) func(context.Context, cache.Export) (ocispecs.Descriptor, error) {
	return func(ctx context.Context, to cache.Export) (ocispecs.Descriptor, error) {
		manifest := ocispecs.Manifest{Versioned: specs.Versioned{SchemaVersion: 2},
			MediaType: ocispecs.MediaTypeImageManifest}
		manifest.Config = put(ctx, to.Store,
			[]byte(`{"config":"`+digest.FromString(strings.Join(layers, "+"))+`"}`))
		for _, l := range layers {
			manifest.Layers = append(manifest.Layers, put(ctx, to.Store, []byte(l)))
		}
		data, err := json.Marshal(manifest)
		if err != nil {
			return ocispecs.Descriptor{}, err
		}
		return put(ctx, to.Store, data), nil
	}
}

func put(ctx context.Context, store content.Store, data []byte) ocispecs.Descriptor {
	d := ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageManifest,
		Digest: digest.FromBytes(data), Size: int64(len(data))}
	err := content.WriteBlob(ctx, store, d.Digest.String(), bytes.NewReader(data), d)
	if err != nil && !errdefs.IsAlreadyExists(err) {
		panic(err)
	}
	return d
}

type buildCache struct {
	*cache.BuildCache
	dir  *cache.Dir
	path string
}

func openBuildCache(t *testing.T) buildCache {
	t.Helper()
	return openBuildCacheIn(t, filepath.Join(t.TempDir(), "cache"), cacheLine)
}

func openBuildCacheIn(t *testing.T, path, line string) buildCache {
	t.Helper()
	dir, err := cache.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	c, err := dir.BuildCache(line)
	if err != nil {
		t.Fatal(err)
	}
	return buildCache{c, dir, filepath.Join(path, "buildkit", line)}
}

func (c buildCache) save(t *testing.T, revision string, layers ...string) {
	t.Helper()
	if err := c.Save(t.Context(), template, revision, false, exporting(layers...)); err != nil {
		t.Fatal(err)
	}
}

// imported are the revisions that a build of one would import.
func (c buildCache) imported(t *testing.T, revision string) (tags, warnings []string) {
	t.Helper()
	imports, warnings, release, err := c.Imports(t.Context(), revision)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for _, i := range imports {
		tags = append(tags, i.Attrs["tag"])
		if i.Type != "local" || i.Attrs["src"] != c.path ||
			digest.Digest(i.Attrs["digest"]).Validate() != nil {
			t.Errorf("import %+v", i)
		}
	}
	return tags, warnings
}

func (c buildCache) wantImports(t *testing.T, revision string, want ...string) {
	t.Helper()
	if got, warnings := c.imported(t, revision); !slices.Equal(got, want) || len(warnings) > 0 {
		t.Errorf("imports for %s are %v, not %v; warnings %q", revision, got, want, warnings)
	}
}

func (c buildCache) trim(t *testing.T, limits cache.Limits) cache.Trimmed {
	t.Helper()
	r, err := c.dir.TrimBuildCaches(t.Context(), limits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (c buildCache) blob(layer string) string {
	return filepath.Join(c.path, "blobs", "sha256", digest.FromString(layer).Encoded())
}

func (c buildCache) blobs(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.path, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

const all = 1 << 40 // bytes

func TestBuildCacheImportsOwnThenNewest(t *testing.T) {
	c := openBuildCache(t)
	c.wantImports(t, "a")
	for _, rev := range []string{"a", "b", "c", "d"} {
		c.save(t, rev, "base", rev)
	}
	c.wantImports(t, "new", "d", "c", "b")
	c.wantImports(t, "a", "a", "d", "c")
	c.wantImports(t, "d", "d", "c", "b")

	// It is an OCI layout.
	var idx ocispecs.Index
	data, err := os.ReadFile(filepath.Join(c.path, "index.json"))
	if err != nil || json.Unmarshal(data, &idx) != nil || len(idx.Manifests) != 4 ||
		idx.Manifests[0].Annotations[ocispecs.AnnotationRefName] != "d" {
		t.Errorf("index.json is %s, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(c.path, "oci-layout")); err != nil {
		t.Error(err)
	}
}

func TestBuildCacheSavesOnce(t *testing.T) {
	c := openBuildCache(t)
	c.save(t, "a", "old")
	never := func(context.Context, cache.Export) (ocispecs.Descriptor, error) {
		panic("saved twice")
	}
	if err := c.Save(t.Context(), template, "a", false, never); err != nil {
		t.Fatal(err)
	}
	if err := c.Save(t.Context(), template, "a", true, exporting("new")); err != nil {
		t.Fatal(err)
	}
	c.wantImports(t, "a", "a")
	c.trim(t, cache.Limits{Keep: 3, MaxSize: all})
	if _, err := os.Stat(c.blob("old")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was replaced is still there: %v", err)
	}
}

func TestBuildCacheKeepsByCount(t *testing.T) {
	c := openBuildCache(t)
	for _, rev := range []string{"a", "b", "c"} {
		c.save(t, rev, "base", rev)
	}
	r := c.trim(t, cache.Limits{Keep: 2, MaxSize: all, DryRun: true})
	if len(r.Removed) != 1 || r.Removed[0].Revision != "a" || r.Removed[0].Name != template ||
		r.Reclaimed == 0 {
		t.Errorf("a dry run would do %+v", r)
	}
	c.wantImports(t, "x", "c", "b", "a")
	if done := c.trim(t, cache.Limits{Keep: 2, MaxSize: all}); done.Reclaimed != r.Reclaimed ||
		done.Remaining != r.Remaining {
		t.Errorf("did %+v, not %+v", done, r)
	}
	c.wantImports(t, "x", "c", "b")
	if got := c.blobs(t); got != 7 { // the base, and of each a layer, a config and a manifest
		t.Errorf("%d blobs are left", got)
	}
	entries, size, err := c.dir.BuildCaches()
	if err != nil || len(entries) != 2 || entries[0].Revision != "c" || size != r.Remaining {
		t.Errorf("%+v, %d bytes, not %d, %v", entries, size, r.Remaining, err)
	}
}

// TestBuildCacheKeepsBySize: over all lines the oldest goes first, and nothing stays because it is
// the last.
func TestBuildCacheKeepsBySize(t *testing.T) {
	c := openBuildCache(t)
	other := openBuildCacheIn(t, c.dir.Path(), "fedcba9876543210")
	big := func(rev string) string { return rev + strings.Repeat("x", 10_000) }
	c.save(t, "a", big("a"))
	other.save(t, "b", big("b"))
	c.save(t, "c", big("c"))
	r := c.trim(t, cache.Limits{Keep: 3, MaxSize: 25_000})
	if len(r.Removed) != 1 || r.Removed[0].Revision != "a" || r.Remaining > 25_000 ||
		r.Reclaimed < 10_000 {
		t.Errorf("did %+v", r)
	}
	c.trim(t, cache.Limits{Keep: 3, MaxSize: 15_000})
	other.wantImports(t, "x")
	c.wantImports(t, "x", "c")
	c.trim(t, cache.Limits{Keep: 3, MaxSize: 1})
	c.wantImports(t, "x")
	if got := c.blobs(t) + other.blobs(t); got != 0 {
		t.Errorf("%d blobs are left", got)
	}
}

// TestBuildCacheDamage: an entry that is not whole is not offered, and saving puts it right.
func TestBuildCacheDamage(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"missing": os.Remove,
		"truncated": func(path string) error {
			return errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 2))
		},
		"a link": func(path string) error {
			return errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := openBuildCache(t)
			c.save(t, "a", "base", "a")
			c.save(t, "b", "base", "b")
			if err := damage(c.blob("a")); err != nil {
				t.Fatal(err)
			}
			got, warnings := c.imported(t, "a")
			if !slices.Equal(got, []string{"b"}) || len(warnings) != 1 ||
				!strings.Contains(warnings[0], digest.FromString("a").String()) {
				t.Errorf("imports %v, warnings %q", got, warnings)
			}
			c.save(t, "a", "base", "a")
			c.wantImports(t, "a", "a", "b")
		})
	}
}

// TestFault45_BuildCacheRepair: only entries with a blob that has another content go, and the blob
// with them.
func TestFault45_BuildCacheRepair(t *testing.T) {
	c := openBuildCache(t)
	if err := c.Repair(t.Context()); err != nil {
		t.Errorf("where nothing is: %v", err)
	}
	c.save(t, "a", "base", "a")
	c.save(t, "b", "base", "b")
	if err := c.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.wantImports(t, "a", "a", "b")
	spoil := func(content string) {
		t.Helper()
		path := c.blob(content)
		if err := errors.Join(os.Chmod(path, 0o600),
			os.WriteFile(path, []byte(strings.ToUpper(content)), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	spoil("a")
	// Somebody who reads does not keep the damaged blob there, where the next save would take it
	// for the good one.
	_, _, release, err := c.Imports(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
	c.wantImports(t, "a", "b")
	c.save(t, "a", "base", "a")
	if err := c.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.wantImports(t, "a", "a", "b")

	spoil("base")
	ended, end := context.WithCancel(t.Context())
	end()
	if err := c.Repair(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if err := c.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.wantImports(t, "a")
	if got := c.blobs(t); got != 0 {
		t.Errorf("%d blobs are left", got)
	}
}

// TestBuildCacheInUse: nothing is taken from who reads, and who saves does not wait for readers.
func TestBuildCacheInUse(t *testing.T) {
	c := openBuildCache(t)
	c.save(t, "a", "a")
	_, _, release, err := c.Imports(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if r := c.trim(t, cache.Limits{MaxSize: all}); r.Busy != 1 || len(r.Removed) != 0 ||
		len(r.Kept) != 1 || r.Reclaimed != 0 {
		t.Errorf("did %+v", r)
	}
	c.save(t, "b", "b")
	release()
	if r := c.trim(t, cache.Limits{MaxSize: all}); r.Busy != 0 || len(r.Removed) != 2 ||
		r.Remaining != 0 {
		t.Errorf("did %+v", r)
	}
}

// TestFault43_SaveBreaksOff: what a save that died left behind is no entry, and goes.
func TestFault43_SaveBreaksOff(t *testing.T) {
	c := openBuildCache(t)
	c.save(t, "a", "a")
	broken := errors.New("killed")
	err := c.Save(t.Context(), template, "b", false,
		func(ctx context.Context, to cache.Export) (ocispecs.Descriptor, error) {
			put(ctx, to.Store, []byte("orphan"))
			w, err := to.Store.Writer(ctx, content.WithRef("half"))
			if err != nil {
				return ocispecs.Descriptor{}, err
			}
			if _, err := w.Write([]byte("half of a layer")); err != nil {
				return ocispecs.Descriptor{}, err
			}
			return ocispecs.Descriptor{}, broken
		})
	if !errors.Is(err, broken) {
		t.Fatalf("error is %v", err)
	}
	c.wantImports(t, "b", "a")
	if _, err := os.Stat(c.blob("orphan")); err != nil {
		t.Fatal(err)
	}
	c.save(t, "c", "c")
	c.wantImports(t, "c", "c", "a")
	if _, err := os.Stat(c.blob("orphan")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the orphan is there: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.path, "ingest", "*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// TestFault45_BuildCacheIndex: an index that nobody can read is an empty one.
func TestFault45_BuildCacheIndex(t *testing.T) {
	for _, text := range []string{"", "{", `{"manifests":[{"digest":"../../x","size":1}]}`, `[]`,
		"\x00\x00"} {
		c := openBuildCache(t)
		c.save(t, "a", "a")
		if err := os.WriteFile(filepath.Join(c.path, "index.json"), []byte(text),
			0o600); err != nil {
			t.Fatal(err)
		}
		if got, _ := c.imported(t, "a"); len(got) > 0 {
			t.Errorf("index %q: imports %v", text, got)
		}
		c.save(t, "a", "a")
		c.wantImports(t, "a", "a")
	}
}

// TestFault52_BuildCacheLinks: containerd's store is never let loose behind a link.
func TestFault52_BuildCacheLinks(t *testing.T) {
	for _, name := range []string{"../../buildkit", ".", "blobs", "blobs/sha256", "ingest"} {
		t.Run(name, func(t *testing.T) {
			c := openBuildCache(t)
			outside := t.TempDir()
			link := filepath.Join(c.path, name)
			if name == "../../buildkit" {
				link = filepath.Dir(c.path)
			}
			if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(outside, link); err != nil {
				t.Fatal(err)
			}
			err := c.Save(t.Context(), template, "a", false, exporting("a"))
			if !errors.Is(err, cache.ErrInsecure) {
				t.Errorf("error is %v", err)
			}
			if entries, _ := os.ReadDir(outside); len(entries) > 0 {
				t.Errorf("written outside: %v", entries)
			}
		})
	}
}

// TestBuildCacheTogether saves, reads and trims at once.
func TestBuildCacheTogether(t *testing.T) {
	c := openBuildCache(t)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			rev := fmt.Sprint("r", i)
			if err := c.Save(t.Context(), template, rev, false,
				exporting("base", rand.Text())); err != nil {
				t.Error(err)
			}
			imports, warnings, release, err := c.Imports(t.Context(), rev)
			if err != nil || len(warnings) > 0 || len(imports) == 0 {
				t.Errorf("imports %v, %q, %v", imports, warnings, err)
				return
			}
			for _, e := range imports {
				name := filepath.Join(c.path, "blobs", "sha256",
					digest.Digest(e.Attrs["digest"]).Encoded())
				if _, err := os.Stat(name); err != nil {
					t.Error(err)
				}
			}
			release()
			if _, err := c.dir.TrimBuildCaches(t.Context(),
				cache.Limits{Keep: 3, MaxSize: all}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c.trim(t, cache.Limits{Keep: 3, MaxSize: all})
	if got, warnings := c.imported(t, "x"); len(got) != 3 || len(warnings) > 0 {
		t.Errorf("%v are left, warnings %q", got, warnings)
	}
}

func TestRegistryCache(t *testing.T) {
	c := cache.NewRegistryCache("registry.example.com/cache/hermes", "0123456789abcdef")
	refs := func(entries []cache.BuildKitEntry) (refs []string) {
		for _, e := range entries {
			refs = append(refs, e.Type+" "+e.Attrs["ref"])
		}
		return refs
	}
	want := []string{
		"registry registry.example.com/cache/hermes:aaaa-0123456789ab",
		"registry registry.example.com/cache/hermes:latest-0123456789ab",
	}
	if got := refs(c.Imports("aaaa")); !slices.Equal(got, want) {
		t.Errorf("imports %q", got)
	}
	if got := refs(c.Exports("aaaa")); !slices.Equal(got, want) {
		t.Errorf("exports %q", got)
	}
}
