package cache

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// lockPoll is the pause between two tries of a lock. The system has no wait
// with a deadline. A build takes seconds, so the pause does not matter.
const lockPoll = 20 * time.Millisecond

// Lock takes the lock of one key, against other processes and against other
// goroutines. It waits for at most wait; 0 tries once. The errors are
// ErrLockTimeout, the context's, or the system's, in an *Error. unlock may be
// called more than once.
func (d *Dir) Lock(ctx context.Context, key string, wait time.Duration) (unlock func(), err error) {
	return d.lock(ctx, key, wait, filelock.Alone)
}

func (d *Dir) lock(
	ctx context.Context, key string, wait time.Duration, mode filelock.Mode,
) (unlock func(), err error) {
	base, err := component("key", key)
	if err != nil {
		return nil, d.fail("lock", locksDir, err)
	}
	name := path.Join(locksDir, base+lockSuffix)
	file, err := filelock.Open(d.root, name, 0o600)
	if errors.Is(err, filelock.ErrLink) {
		err = fmt.Errorf("%w: %w", ErrInsecure, err)
	}
	if err != nil {
		return nil, d.fail("lock", name, err)
	}
	if err := acquire(ctx, file, wait, mode); err != nil {
		return nil, d.fail("lock", name, errors.Join(err, file.Close()))
	}
	return sync.OnceFunc(func() { _ = file.Close() }), nil
}

func acquire(
	ctx context.Context, file *filelock.File, wait time.Duration, mode filelock.Mode,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ok, err := file.Try(mode); ok || err != nil {
		return err
	}
	waitCtx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := file.Wait(waitCtx, mode, lockPoll)
	if err != nil && ctx.Err() == nil && waitCtx.Err() != nil {
		return fmt.Errorf("%w (waited %s)", ErrLockTimeout, wait)
	}
	return err
}
