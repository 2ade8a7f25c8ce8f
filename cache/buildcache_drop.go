package cache

import (
	"context"
	"slices"
)

// DropBuildCaches removes the entries that a function chooses by line and template. It asks with
// the template "" for what a line has besides undamaged entries. A line without entries loses its
// folder. It leaves a line as it is while another process reads or writes it. All errors are
// *Error.
func (d *Dir) DropBuildCaches(
	ctx context.Context, drop func(line, template string) bool, dryRun bool,
) (Trimmed, error) {
	caches, err := d.caches()
	if err != nil {
		return Trimmed{}, err
	}
	var r Trimmed
	var chosen []*BuildCache
	for _, c := range caches {
		v, err := c.measure()
		if err != nil {
			return Trimmed{}, err
		}
		if drop(c.line, "") || slices.ContainsFunc(v.entries(), func(e Entry) bool {
			return drop(e.Line, e.Name)
		}) {
			chosen = append(chosen, c)
			continue
		}
		r.Kept = append(r.Kept, v.entries()...)
		r.Remaining += v.size()
	}
	free, unlock, err := r.lockFree(ctx, chosen)
	defer unlock()
	if err != nil {
		return r, err
	}
	for _, v := range free {
		v.drop(func(e Entry) bool { return drop(e.Line, e.Name) })
	}
	if err := r.apply(free, dryRun); err != nil || dryRun {
		return r, err
	}
	for _, v := range free {
		if len(v.index) > 0 {
			continue
		}
		// The locks are elsewhere, so no process can be using the folder.
		if err := d.root.RemoveAll(v.cache.name); err != nil {
			return r, v.cache.fail("remove", err)
		}
	}
	return r, nil
}
