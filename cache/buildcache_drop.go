package cache

import (
	"context"
	"slices"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// DropBuildCaches removes the entries that a function chooses by line and template. It asks with
// the template "" for what a line has besides undamaged entries. A line without entries loses its
// folder. It leaves a line as it is while another process reads or writes it, and one that cannot
// be read or written. All errors are *Error.
func (d *Dir) DropBuildCaches(
	ctx context.Context, drop func(line, template string) bool, dryRun bool,
) (Trimmed, error) {
	t := &trimming{dryRun: dryRun, removeEmpty: true}
	t.plan = func() {
		for _, v := range t.lines {
			if v.fixed {
				continue
			}
			v.stay = slices.DeleteFunc(slices.Clone(v.index), func(e ocispecs.Descriptor) bool {
				return drop(v.cache.line, e.Annotations[annotationTemplate])
			})
			v.fixed = len(v.stay) == len(v.index) && !drop(v.cache.line, "")
		}
	}
	return d.trim(ctx, t)
}
