package cache

import (
	"context"
	"errors"
	"slices"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// trimming is one call of TrimBuildCaches or DropBuildCaches.
type trimming struct {
	// plan sets for each line that is not fixed what stays.
	plan        func()
	dryRun      bool
	removeEmpty bool // a line without entries loses its folder

	lines   []*inventory
	removed []Entry
	busy    int
	// reclaimed counts bytes.
	reclaimed int64
}

// run removes what the limits do not let stay. If a line turns out to be in use, or fails, it keeps
// its entries, and the plan is made anew for the others.
func (t *trimming) run(ctx context.Context) (failed error) {
	for again := true; again; {
		again = false
		t.plan()
		for _, v := range t.lines {
			if v.fixed || !v.hasRemovals() && !(t.removeEmpty && len(v.stay) == 0) {
				continue
			}
			err := t.removeFrom(ctx, v)
			if ctx.Err() != nil {
				return errors.Join(failed, err)
			}
			v.fixed = err != nil || t.dryRun || t.removeEmpty
			switch {
			case errors.Is(err, ErrLockTimeout):
				t.busy++
			case err != nil:
				failed = errors.Join(failed, err)
			}
			again = again || err != nil
		}
	}
	return failed
}

// keepNewest decides that the newest entries of each line stay, and of these the newest of all as
// far as the size allows. The lines that are fixed keep what they have.
func (t *trimming) keepNewest(limits Limits) {
	type candidate struct {
		of    *inventory
		entry ocispecs.Descriptor
		saved time.Time
	}
	var total int64
	var candidates []candidate
	for _, v := range t.lines {
		if !v.fixed {
			v.stay = slices.Clone(v.index[:min(limits.Keep, len(v.index))])
			for _, e := range v.stay {
				candidates = append(candidates, candidate{v, e, savedAt(e)})
			}
		}
		total += v.size(v.stay)
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return a.saved.Compare(b.saved) })
	for _, c := range candidates {
		if total <= limits.MaxSize {
			return
		}
		total -= c.of.size(c.of.stay)
		c.of.stay = c.of.stay.without(revisionOf(c.entry))
		total += c.of.size(c.of.stay)
	}
}

// removeFrom removes from a line what does not stay, under its locks, and updates the inventory. On
// an error the line keeps what it has on the disk.
func (t *trimming) removeFrom(ctx context.Context, v *inventory) error {
	planned := v.dropped()
	unlock, err := v.cache.alone(ctx)
	if err != nil {
		v.stay = v.index
		return err
	}
	defer unlock()
	now, err := v.cache.measure()
	if err != nil {
		v.stay = v.index
		return err
	}
	*v = *now
	// What was saved since the look stays.
	v.stay = slices.DeleteFunc(slices.Clone(v.index), func(e ocispecs.Descriptor) bool {
		return slices.ContainsFunc(planned, func(p ocispecs.Descriptor) bool {
			return sameEntry(e, p)
		})
	})
	return t.apply(v)
}

// apply removes what does not stay, and counts it.
func (t *trimming) apply(v *inventory) error {
	dropped := v.entries(v.dropped())
	if !t.dryRun {
		err := v.apply(v.stay)
		if err == nil && t.removeEmpty && len(v.stay) == 0 {
			// The locks are elsewhere, so no process can be using the folder.
			err = v.removeFolder()
		}
		if err != nil {
			if now, broken := v.cache.measure(); broken == nil {
				t.reclaimed += v.onDisk - now.onDisk
				*v = *now
			}
			return err
		}
	}
	t.removed = append(t.removed, dropped...)
	t.reclaimed += v.onDisk - v.size(v.stay)
	v.index, v.damaged, v.onDisk = v.stay, false, v.size(v.stay)
	return nil
}

func sameEntry(a, b ocispecs.Descriptor) bool {
	return a.Digest == b.Digest && revisionOf(a) == revisionOf(b) && savedAt(a).Equal(savedAt(b))
}

func (t *trimming) report() Trimmed {
	r := Trimmed{Removed: t.removed, Busy: t.busy, Reclaimed: t.reclaimed}
	for _, v := range t.lines {
		r.Kept = append(r.Kept, v.entries(v.index)...)
		r.Remaining += v.size(v.index)
	}
	newestEntries(r.Removed)
	newestEntries(r.Kept)
	return r
}
