package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// lockPoll is how often a lock that is held is tried again. flock has no wait
// with a deadline; a build takes seconds, so this adds nothing to notice.
const lockPoll = 20 * time.Millisecond

// Lock takes the lock of one key, against other processes and against other
// goroutines. It waits for at most wait; 0 tries once. The errors are
// ErrLockTimeout, the context's, or the system's, in an *Error. unlock may be
// called more than once.
func (d *Dir) Lock(ctx context.Context, key string, wait time.Duration) (unlock func(), err error) {
	return d.lock(ctx, key, wait, exclusive)
}

// holding is a way to hold a lock: alone or with others.
type holding struct {
	try  func(*flock.Flock) (bool, error)
	wait func(*flock.Flock, context.Context, time.Duration) (bool, error)
}

var (
	exclusive = holding{(*flock.Flock).TryLock, (*flock.Flock).TryLockContext}
	shared    = holding{(*flock.Flock).TryRLock, (*flock.Flock).TryRLockContext}
)

func (d *Dir) lock(ctx context.Context, key string, wait time.Duration, how holding) (unlock func(), err error) {
	name, err := d.lockFile(key)
	if err != nil {
		return nil, d.fail("lock", name, err)
	}
	lock := flock.New(filepath.Join(d.path, filepath.FromSlash(name)), flock.SetPermissions(0o600))
	if err := acquire(ctx, lock, wait, how); err != nil {
		return nil, d.fail("lock", name, errors.Join(err, lock.Close()))
	}
	// Closing the file frees the lock. The file stays, see the package's doc.
	return sync.OnceFunc(func() { _ = lock.Close() }), nil
}

// lockFile makes sure that the key's lock file is there and a file of its own:
// flock opens it by its path and would follow a link.
func (d *Dir) lockFile(key string) (string, error) {
	base, err := component("key", key)
	if err != nil {
		return locksDir, err
	}
	name := path.Join(locksDir, base+lockSuffix)
	if err := d.root.MkdirAll(locksDir, 0o700); err != nil {
		return name, err
	}
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return name, err
	}
	defer f.Close()
	for _, p := range []string{locksDir, name} {
		if info, err := d.root.Lstat(p); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return name, errors.Join(fmt.Errorf("%w: %s is a symbolic link", ErrInsecure, p), err)
		}
	}
	return name, nil
}

func acquire(ctx context.Context, lock *flock.Flock, wait time.Duration, how holding) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ok, err := how.try(lock); ok || err != nil {
		return err
	}
	waitCtx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	_, err := how.wait(lock, waitCtx, lockPoll)
	if err != nil && ctx.Err() == nil && waitCtx.Err() != nil {
		return fmt.Errorf("%w (waited %s)", ErrLockTimeout, wait)
	}
	return err
}
