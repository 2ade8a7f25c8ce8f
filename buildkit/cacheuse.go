package buildkit

import (
	"context"
	"fmt"

	"github.com/moby/buildkit/client"
)

// CacheUse is what the build cache of a builder takes of its disk, in bytes.
type CacheUse struct {
	Records int
	Size    int64
	// InUse is the part that builds need at the moment.
	InUse int64
	// Mounts is the part of cache mounts, which RUN --mount=type=cache keeps from build to build.
	Mounts int64
}

// CacheUse asks the builder for its whole build cache, whoever filled it. That may take seconds.
func (b *Builder) CacheUse(ctx context.Context) (CacheUse, error) {
	records, err := b.client.DiskUsage(ctx)
	if err != nil {
		return CacheUse{}, fmt.Errorf("builder %s: ask for its build cache: %w", b.info.Endpoint,
			err)
	}
	u := CacheUse{Records: len(records)}
	for _, r := range records {
		u.Size += r.Size
		if r.InUse {
			u.InUse += r.Size
		}
		if r.RecordType == client.UsageRecordTypeCacheMount {
			u.Mounts += r.Size
		}
	}
	return u, nil
}
