package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// buildCacheDir holds one OCI layout for each line of recipes.
const buildCacheDir = "buildkit"

// maxImports is how many commits' entries a builder gets. It reads one manifest for each; the first
// has most of what the others have.
const maxImports = 3

// BuildKitEntry is an entry of BuildKit's cache imports or exports: a type and its attributes, as
// in `buildctl build --import-cache type=...,key=value`. It has the fields of buildkit.CacheEntry
// and is a type of its own, since this package imports nothing of BuildKit's.
type BuildKitEntry struct {
	Type  string
	Attrs map[string]string
}

// BuildCache is BuildKit's cache of one line of recipes in a folder of its own: an OCI layout with
// an entry for each commit, tagged with it. BuildKit matches the parts of an entry by content; the
// commits serve look-ups and retention. It is safe for concurrent use, by goroutines and by
// processes.
//
// BuildKit does not verify the content: a user who can write to the folder can put layers into
// images.
type BuildCache struct {
	dir  *Dir
	line string
	name string // the folder's, relative to the cache folder
}

// Entry is the cache of one commit.
type Entry struct {
	Line     string    `json:"-"`
	Name     string    `json:"name"`     // the template
	Revision string    `json:"revision"` // the commit
	SavedAt  time.Time `json:"saved_at"`
	// Size in bytes. A blob that several entries share counts with each of them.
	Size int64 `json:"size"`
}

// BuildCache opens the cache of a line. It need not exist yet. All errors are *Error.
func (d *Dir) BuildCache(line string) (*BuildCache, error) {
	base, err := component("line", line)
	if err != nil {
		return nil, d.fail("open", buildCacheDir, err)
	}
	return &BuildCache{dir: d, line: base, name: path.Join(buildCacheDir, base)}, nil
}

// Imports returns what a builder may import for a commit: its own entry, then those saved last, the
// newest first. An entry with a missing or truncated blob is left out, with a warning. Nothing is
// removed from the folder until release is called.
func (c *BuildCache) Imports(
	ctx context.Context, revision string,
) (imports []BuildKitEntry, warnings []string, release func(), err error) {
	if there, err := c.exists(); err != nil || !there {
		return nil, nil, func() {}, err
	}
	// A process that holds the lock alone only deletes a few files.
	release, err = c.dir.lock(ctx, c.useLock(), 10*time.Second, filelock.Shared)
	if err != nil {
		return nil, nil, func() {}, err
	}
	idx, err := c.readIndex()
	if err != nil {
		release()
		return nil, nil, func() {}, err
	}
	for _, e := range idx.from(revision) {
		if len(imports) == maxImports {
			break
		}
		if _, err := c.contents(e); err != nil {
			warnings = append(warnings, fmt.Sprintf("the build cache of %s was not used: %v",
				revisionOf(e), err))
			continue
		}
		imports = append(imports, BuildKitEntry{Type: "local", Attrs: map[string]string{
			"src": c.path(), "digest": e.Digest.String(), "tag": revisionOf(e),
		}})
	}
	return imports, warnings, release, nil
}

// Export is what Save passes to the function that exports BuildKit's cache: the entry to export to,
// and the content store of the entry's folder, which also holds the imports.
type Export struct {
	Entry  BuildKitEntry
	Folder string
	Store  content.Store
}

// Save adds a commit's entry. The function export writes it and returns the descriptor of the
// cache's manifest. An existing entry stays as it is, unless again is true. The entry appears when
// all of it has been written: a process killed at any step leaves at worst blobs that no entry
// names, which the next Save removes. One Save at a time writes to the folder; the others wait. The
// errors are export's, or *Error.
func (c *BuildCache) Save(
	ctx context.Context, name, revision string, again bool,
	export func(context.Context, Export) (ocispecs.Descriptor, error),
) error {
	unlock, err := c.dir.lock(ctx, c.saveLock(), saveWait, filelock.Alone)
	if err != nil {
		return err
	}
	defer unlock()
	idx, err := c.tidy(ctx)
	if err != nil {
		return err
	}
	if idx.has(revision) && !again {
		return nil
	}
	store, err := contentlocal.NewStore(c.path())
	if err != nil {
		return c.fail("save", err)
	}
	desc, err := export(ctx, Export{
		// The builder has the layers uncompressed, for the delivery.
		Entry: BuildKitEntry{Type: "local", Attrs: map[string]string{
			"dest": c.path(), "mode": "max", "compression": "uncompressed",
		}},
		Folder: c.path(), Store: store,
	})
	if err != nil {
		return err
	}
	if _, err := c.contents(desc); err != nil {
		return c.fail("save", err)
	}
	return c.writeIndex(idx.with(desc, name, revision, time.Now().UTC()))
}

// saveWait is how long one Save waits for others, each of which may write gigabytes.
const saveWait = time.Hour

// There are two lock files. A writer holds the first, a reader shares the second. A process that
// removes something holds both alone.
func (c *BuildCache) saveLock() string { return "buildkit-save-" + c.line }
func (c *BuildCache) useLock() string  { return "buildkit-use-" + c.line }

func (c *BuildCache) path() string { return filepath.Join(c.dir.path, filepath.FromSlash(c.name)) }

// exists reports whether the folder exists. It refuses folders that are links: containerd's content
// store opens them by their paths.
func (c *BuildCache) exists() (bool, error) {
	for _, p := range []string{"..", ".", "blobs", "blobs/sha256", "ingest"} {
		info, err := c.dir.root.Lstat(path.Join(c.name, p))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return false, c.fail("open", err)
		case !info.IsDir():
			return false, c.fail("open",
				fmt.Errorf("%w: %s is not a folder", ErrInsecure, path.Join(c.name, p)))
		}
	}
	_, err := c.dir.root.Lstat(c.name)
	return err == nil, ignoreMissing(err)
}

func (c *BuildCache) fail(op string, err error) error { return c.dir.fail(op, c.name, err) }
