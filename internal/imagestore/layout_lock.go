package imagestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// Two locks keep writers apart. Who brings blobs holds blobsLock shared, from the first look for a
// blob until the index names it, so that none is swept in between; the sweep holds it alone. Who
// changes the index holds indexLock, for an instant. Who takes both takes blobsLock first. Readers
// take none: the index is replaced as a whole.
const (
	blobsLock = privateDir + "/blobs.lock"
	indexLock = privateDir + "/index.lock"
)

// layoutPoll is how often a lock that is held is tried again.
const layoutPoll = 10 * time.Millisecond

var errBusy = fmt.Errorf("%w: another process holds the lock of the OCI layout", ErrUnavailable)

// lock waits for a lock for as long as an engine may take to answer.
func (l *Layout) lock(ctx context.Context, name string,
	mode filelock.Mode) (unlock func(), err error) {
	file, err := filelock.Open(l.root, name, 0o644)
	if err != nil {
		return nil, err
	}
	ctx, cancel := brief(ctx)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := file.Wait(ctx, mode, layoutPoll); err != nil {
		if errors.Is(context.Cause(ctx), errSlow) {
			err = errBusy
		}
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// tryLock takes a lock alone if it is free; nil if it is not.
func (l *Layout) tryLock(name string) (unlock func(), err error) {
	file, err := filelock.Open(l.root, name, 0o644)
	if err != nil {
		return nil, err
	}
	if ok, err := file.Try(filelock.Alone); !ok || err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}
