package cache_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/cache"
)

// TestBuildCacheDamage: a damaged entry is not imported, and Save replaces it.
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
			got, warnings := c.importTags(t, "a")
			if !slices.Equal(got, []string{"b"}) || len(warnings) != 1 ||
				!strings.Contains(warnings[0], digest.FromString("a").String()) {
				t.Errorf("imports %v, warnings %q", got, warnings)
			}
			c.save(t, "a", "base", "a")
			c.wantImports(t, "a", "a", "b")
		})
	}
}

// TestFault45_BuildCacheRepair: Repair removes blobs with another content and the entries that name
// them, and no others.
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
	// A reader does not prevent the removal of a damaged blob, which the next Save would take for
	// a good one.
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

// TestFault43_SaveBreaksOff: an interrupted Save leaves no entry, and the next one removes its
// blobs.
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
	if leftovers, _ := filepath.Glob(filepath.Join(c.path, "ingest", "*")); len(leftovers) > 0 {
		t.Errorf("left over: %v", leftovers)
	}
}

// TestFault45_SaveChecksWhatWasWritten: an export that reports success but lacks a blob is no
// entry.
func TestFault45_SaveChecksWhatWasWritten(t *testing.T) {
	c := openBuildCache(t)
	c.save(t, "a", "a")
	err := c.Save(t.Context(), template, "b", false,
		func(ctx context.Context, to cache.Export) (ocispecs.Descriptor, error) {
			d, err := exportOf("b")(ctx, to)
			return d, errors.Join(err, os.Remove(c.blob("b")))
		})
	if err == nil {
		t.Error("the cache was saved")
	}
	c.wantImports(t, "b", "a")
}

// TestFault45_BuildCacheIndex: a malformed index counts as an empty one.
func TestFault45_BuildCacheIndex(t *testing.T) {
	for _, text := range []string{"", "{", `{"manifests":[{"digest":"../../x","size":1}]}`, `[]`,
		"\x00\x00"} {
		c := openBuildCache(t)
		c.save(t, "a", "a")
		if err := os.WriteFile(filepath.Join(c.path, "index.json"), []byte(text),
			0o600); err != nil {
			t.Fatal(err)
		}
		if got, _ := c.importTags(t, "a"); len(got) > 0 {
			t.Errorf("index %q: imports %v", text, got)
		}
		c.save(t, "a", "a")
		c.wantImports(t, "a", "a")
	}
}

// TestFault52_BuildCacheLinks: containerd's store does not write through a link.
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
			err := c.Save(t.Context(), template, "a", false, exportOf("a"))
			if !errors.Is(err, cache.ErrInsecure) {
				t.Errorf("error is %v", err)
			}
			if entries, _ := os.ReadDir(outside); len(entries) > 0 {
				t.Errorf("written outside: %v", entries)
			}
		})
	}
}
