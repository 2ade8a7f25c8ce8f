package cache

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// The default limits.
const (
	// DefaultKeep is how many entries of a line stay.
	DefaultKeep = 3
	// DefaultMaxSize is what the entries of all lines may take together, in bytes.
	DefaultMaxSize = 10_000_000_000
)

// Limits are the bounds of the build caches in a folder.
type Limits struct {
	// Keep is how many entries of each line stay. They are the newest.
	Keep int
	// MaxSize is what the entries of all lines may take together, in bytes. The oldest are removed
	// first, even if they are the last of their line.
	MaxSize int64
	// DryRun changes nothing.
	DryRun bool
}

// Trimmed is what TrimBuildCaches did, or would do without DryRun.
type Trimmed struct {
	Removed []Entry `json:"removed,omitempty"`
	Kept    []Entry `json:"kept,omitempty"`
	// Busy counts the lines of which nothing was removed because they are in use.
	Busy int `json:"busy,omitempty"`
	// Reclaimed and Remaining in bytes; a blob that several entries share counts once.
	Reclaimed int64 `json:"reclaimed"`
	Remaining int64 `json:"remaining"`
}

// BuildCaches returns the entries of all lines, the newest first, and the bytes that all files
// take, those of unfinished entries included. It takes no lock. All errors are *Error.
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
		entries = append(entries, t.entries(t.index)...)
		size += t.onDisk
	}
	newestEntries(entries)
	return entries, size, nil
}

// TrimBuildCaches removes entries by the limits, and then the blobs that no entry names. It locks
// one line at a time, and leaves a line as it is while another process reads or writes it. A line
// that cannot be read or written is left as it is too; the error says so when the others are done.
// All errors are *Error, and Trimmed says what was done in any case.
func (d *Dir) TrimBuildCaches(ctx context.Context, limits Limits) (Trimmed, error) {
	t := &trimming{dryRun: limits.DryRun}
	t.plan = func() { t.keepNewest(limits) }
	return d.trim(ctx, t)
}

// trim reads all lines and runs a trimming.
func (d *Dir) trim(ctx context.Context, t *trimming) (Trimmed, error) {
	caches, err := d.caches()
	if err != nil {
		return Trimmed{}, err
	}
	for _, c := range caches {
		v, unreadable := c.measure()
		if unreadable != nil {
			err = errors.Join(err, unreadable)
			continue
		}
		t.lines = append(t.lines, v)
	}
	err = errors.Join(err, t.run(ctx))
	return t.report(), err
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

// tidy creates the folder if it is missing. It drops damaged entries and removes the blobs that no
// entry names, unless the line is being read. The caller holds the save lock.
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
	return t.index, t.apply(t.index)
}

// caches returns the caches of all lines.
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

func newestEntries(entries []Entry) {
	slices.SortStableFunc(entries, func(a, b Entry) int { return b.SavedAt.Compare(a.SavedAt) })
}
