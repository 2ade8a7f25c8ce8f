package docker

import (
	"context"
	"fmt"
	"time"
)

// stallAfter bounds the time in which an engine that pulls from this machine neither takes a byte
// nor reports progress. While it unpacks, it reports the seconds (moby,
// daemon/containerd/progress.go).
const stallAfter = 20 * time.Second

// guardStall returns a context that ends if moved is not called for a while. The pull as a whole
// has no bound. release must be called once nothing calls moved any more.
func guardStall(
	ctx context.Context, after time.Duration,
) (guarded context.Context, moved, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(after, func() { cancel(fmt.Errorf("nothing moved for %s", after)) })
	return ctx, func() { timer.Reset(after) }, func() {
		timer.Stop()
		cancel(nil)
	}
}
