package cache_test

import (
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

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/cache"
)

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
	if err := c.Save(t.Context(), template, "a", true, exportOf("new")); err != nil {
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

// TestBuildCacheKeepsBySize: the oldest entry of all lines is removed first, even if it is the last
// of its line.
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

// TestBuildCacheInUse: nothing is removed from a cache that is being read, and Save does not wait
// for readers.
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

// TestBuildCacheTogether saves, reads and trims at once.
func TestBuildCacheTogether(t *testing.T) {
	c := openBuildCache(t)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			rev := fmt.Sprint("r", i)
			if err := c.Save(t.Context(), template, rev, false,
				exportOf("base", rand.Text())); err != nil {
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
	if got, warnings := c.importTags(t, "x"); len(got) != 3 || len(warnings) > 0 {
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
