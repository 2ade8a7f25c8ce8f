package layout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Two locks keep writers apart. A writer of blobs holds blobsLock shared, from its first look for a
// blob until the index names the image, so that no blob is swept in between. The sweep holds it
// alone. A writer of the index holds indexLock for a moment. A process that takes both takes
// blobsLock first. Readers take none, since the index is replaced as a whole.
const (
	blobsLock = privateDir + "/blobs.lock"
	indexLock = privateDir + "/index.lock"
)

const (
	// lockWithin bounds the wait for a lock.
	lockWithin = 30 * time.Second
	// pollEvery is the time between two tries.
	pollEvery = 10 * time.Millisecond
)

var errBusy = fmt.Errorf("%w: another process holds the lock of the OCI layout",
	imagestore.ErrUnavailable)

// lock waits for a lock for at most lockWithin.
func (l *Layout) lock(
	ctx context.Context, name string, mode filelock.Mode,
) (unlock func(), err error) {
	file, err := filelock.Open(l.root, name, 0o644)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockWithin, errBusy)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := file.Wait(ctx, mode, pollEvery); err != nil {
		if errors.Is(context.Cause(ctx), errBusy) {
			err = errBusy
		}
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// tryLock takes a lock alone if it is free. Otherwise unlock is nil.
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
