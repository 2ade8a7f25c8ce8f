package cache_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
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

// exportOf returns an export that writes what BuildKit writes: layers, a config and their manifest.
func exportOf(layers ...string) func(context.Context, cache.Export) (ocispecs.Descriptor, error) {
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
	if err := c.Save(t.Context(), template, revision, false, exportOf(layers...)); err != nil {
		t.Fatal(err)
	}
}

// importTags returns the tags of the entries that a build of the revision imports.
func (c buildCache) importTags(t *testing.T, revision string) (tags, warnings []string) {
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
	if got, warnings := c.importTags(t, revision); !slices.Equal(got, want) || len(warnings) > 0 {
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
