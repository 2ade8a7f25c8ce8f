package docker

import (
	"context"
	"fmt"
	"time"
)

// stallAfter is how long an engine that pulls from this machine may neither take a byte nor say
// that it got on. While it unpacks it tells the seconds (moby, daemon/containerd/progress.go).
const stallAfter = 20 * time.Second

// guardStall gives a context that ends when moved is not called for a while. The pull as a whole
// may take as long as it likes. release must be called when nothing calls moved any more.
func guardStall(ctx context.Context,
	after time.Duration) (guarded context.Context, moved, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(after, func() { cancel(fmt.Errorf("nothing moved for %s", after)) })
	return ctx, func() { timer.Reset(after) }, func() {
		timer.Stop()
		cancel(nil)
	}
}
