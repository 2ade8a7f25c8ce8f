package cache

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// The limits that Pinion keeps to by default.
const (
	// DefaultKeep is how many entries of a line stay.
	DefaultKeep = 3
	// DefaultMaxSize is what the entries of all lines may take together, in bytes.
	DefaultMaxSize = 10_000_000_000
)

// Limits say what of the build caches may stay.
type Limits struct {
	// Keep is how many entries of each line stay, the newest.
	Keep int
	// MaxSize in bytes is what the entries of all lines may take together. The oldest go first, and
	// nothing stays because it is the last of its line.
	MaxSize int64
	// DryRun changes nothing.
	DryRun bool
}

// Trimmed is what TrimBuildCaches did, or would do.
type Trimmed struct {
	Removed []Entry `json:"removed,omitempty"`
	Kept    []Entry `json:"kept,omitempty"`
	// Busy counts lines that are being read or written, of which nothing was taken.
	Busy int `json:"busy,omitempty"`
	// Reclaimed and Remaining in bytes; a blob that several entries share counts once.
	Reclaimed int64 `json:"reclaimed"`
	Remaining int64 `json:"remaining"`
}

// BuildCaches returns the entries of all lines, the newest first, and the bytes that all of it
// takes, unfinished entries included. It takes no lock. All errors are *Error.
func (d *Dir) BuildCaches() (entries []Entry, size int64, err error) {
	caches, err := d.caches()
	if err != nil {
		return nil, 0, err
	}
	for _, c := range caches {
		t, err := c.measure()
		if err != nil {
			return nil, 0, err
		}
		entries = append(entries, t.entries()...)
		size += t.onDisk
	}
	newestEntries(entries)
	return entries, size, nil
}

// TrimBuildCaches removes entries by the limits, and then the blobs that no entry names. A line
// that is being read or written is left alone. All errors are *Error.
func (d *Dir) TrimBuildCaches(ctx context.Context, limits Limits) (Trimmed, error) {
	caches, err := d.caches()
	if err != nil {
		return Trimmed{}, err
	}
	var r Trimmed
	var mine []*tally
	for _, c := range caches {
		unlock, err := c.alone(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return r, err
			}
			r.Busy++
		} else {
			defer unlock()
		}
		t, merr := c.measure()
		if merr != nil {
			return r, merr
		}
		if err != nil {
			r.Kept = append(r.Kept, t.entries()...)
			r.Remaining += t.size()
			continue
		}
		mine = append(mine, t)
	}
	before := r.Remaining
	for _, t := range mine {
		t.drop(min(limits.Keep, len(t.index)))
		before += t.onDisk
	}
	dropOldest(mine, limits.MaxSize-r.Remaining)
	for _, t := range mine {
		r.Removed = append(r.Removed, t.dropped...)
		r.Kept = append(r.Kept, t.entries()...)
		r.Remaining += t.size()
		if limits.DryRun {
			continue
		}
		if err := t.apply(); err != nil {
			return r, err
		}
	}
	r.Reclaimed = before - r.Remaining
	newestEntries(r.Removed)
	newestEntries(r.Kept)
	return r, nil
}

// dropOldest drops one entry after the other until the rest fits.
func dropOldest(tallies []*tally, most int64) {
	for {
		var total int64
		var oldest *tally
		for _, t := range tallies {
			total += t.size()
			if len(t.index) > 0 && (oldest == nil ||
				savedAt(t.index[len(t.index)-1]).Before(savedAt(oldest.index[len(
					oldest.index,
				)-1]))) {
				oldest = t
			}
		}
		if total <= most || oldest == nil {
			return
		}
		oldest.drop(len(oldest.index) - 1)
	}
}

// alone takes both locks of a line, at once or not at all.
func (c *BuildCache) alone(ctx context.Context) (unlock func(), err error) {
	save, err := c.dir.lock(ctx, c.saveLock(), 0, filelock.Alone)
	if err != nil {
		return nil, err
	}
	use, err := c.dir.lock(ctx, c.useLock(), 0, filelock.Alone)
	if err != nil {
		save()
		return nil, err
	}
	return func() { use(); save() }, nil
}

// tidy makes sure that the folder is there, drops damaged entries, and removes what no entry names,
// unless somebody reads. The caller holds the save lock.
func (c *BuildCache) tidy(ctx context.Context) (index, error) {
	if _, err := c.exists(); err != nil {
		return nil, err
	}
	if err := c.dir.root.MkdirAll(c.name, 0o700); err != nil {
		return nil, c.fail("save", err)
	}
	t, err := c.measure()
	if err != nil {
		return nil, err
	}
	use, err := c.dir.lock(ctx, c.useLock(), 0, filelock.Alone)
	if errors.Is(err, ErrLockTimeout) {
		return t.index, nil
	}
	if err != nil {
		return nil, err
	}
	defer use()
	return t.index, t.apply()
}

// caches are those of all lines.
func (d *Dir) caches() (all []*BuildCache, err error) {
	entries, err := fs.ReadDir(d.root.FS(), buildCacheDir)
	if err != nil {
		if err = ignoreMissing(err); err != nil {
			err = d.fail("read", buildCacheDir, err)
		}
		return nil, err
	}
	for _, e := range entries {
		if c, err := d.BuildCache(e.Name()); err == nil && e.IsDir() {
			all = append(all, c)
		}
	}
	return all, nil
}

// tally is what a line holds, and what of it goes.
type tally struct {
	cache *BuildCache
	index index // of the whole entries that stay
	// changed says that the index on the disk has others.
	changed bool
	blobs   map[string]map[digest.Digest]int64 // by revision
	dropped []Entry
	onDisk  int64
}

func (c *BuildCache) measure() (*tally, error) {
	t := &tally{cache: c, blobs: map[string]map[digest.Digest]int64{}}
	idx, err := c.readIndex()
	if err != nil {
		return nil, err
	}
	for _, e := range idx {
		blobs, err := c.contents(e)
		if err != nil {
			t.changed = true
			continue
		}
		t.index = append(t.index, e)
		t.blobs[revisionOf(e)] = blobs
	}
	err = c.walk(func(_ string, info fs.FileInfo) error {
		t.onDisk += info.Size()
		return nil
	})
	return t, err
}

// walk visits the blobs, and what has been written of others.
func (c *BuildCache) walk(visit func(name string, info fs.FileInfo) error) error {
	for _, dir := range []string{ocispecs.ImageBlobsDir, "ingest"} {
		err := fs.WalkDir(c.dir.root.FS(), path.Join(c.name, dir),
			func(name string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return ignoreMissing(err)
				}
				info, err := e.Info()
				if err != nil {
					return ignoreMissing(err)
				}
				return visit(name, info)
			})
		if err != nil {
			return c.fail("read", err)
		}
	}
	return nil
}

func (t *tally) entries() (entries []Entry) {
	for _, e := range t.index {
		entries = append(entries, t.entry(e))
	}
	return entries
}

func (t *tally) entry(e ocispecs.Descriptor) Entry {
	entry := Entry{Line: t.cache.line, Name: e.Annotations[annotationTemplate],
		Revision: revisionOf(e), SavedAt: savedAt(e)}
	for _, size := range t.blobs[entry.Revision] {
		entry.Size += size
	}
	return entry
}

// size is that of the blobs which the entries name.
func (t *tally) size() (total int64) {
	for _, size := range t.named() {
		total += size
	}
	return total
}

// named are the blobs by the names of their files.
func (t *tally) named() map[string]int64 {
	all := map[string]int64{}
	for _, e := range t.index {
		for d, size := range t.blobs[revisionOf(e)] {
			all[t.cache.blob(d)] = size
		}
	}
	return all
}

// drop leaves the first n entries.
func (t *tally) drop(n int) {
	for _, e := range t.index[n:] {
		t.dropped = append(t.dropped, t.entry(e))
		t.changed = true
	}
	t.index = t.index[:n]
}

// apply writes the index first, so that it never names a blob that has gone. The caller holds both
// locks.
func (t *tally) apply() error {
	if t.changed {
		if err := t.cache.writeIndex(t.index); err != nil {
			return err
		}
	}
	named := t.named()
	err := t.cache.walk(func(name string, _ fs.FileInfo) error {
		if _, ok := named[name]; ok {
			return nil
		}
		return ignoreMissing(t.cache.dir.root.Remove(name))
	})
	if err != nil {
		return err
	}
	// Whatever was being written has nobody who writes it.
	if err := t.cache.dir.root.RemoveAll(path.Join(t.cache.name, "ingest")); err != nil {
		return t.cache.fail("trim", err)
	}
	return nil
}

func newestEntries(entries []Entry) {
	slices.SortStableFunc(entries, func(a, b Entry) int { return b.SavedAt.Compare(a.SavedAt) })
}
