package imagestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Two locks keep writers apart. Who brings blobs holds blobsLock shared, from the first look for a blob until the
// index names it, so that none is swept in between; the sweep holds it alone. Who changes the index holds indexLock,
// for an instant. Who takes both takes blobsLock first. Readers take none: the index is replaced as a whole.
//
// The files stay: one that was removed while somebody waits for it would lock nobody out.
const (
	blobsLock = privateDir + "/blobs.lock"
	indexLock = privateDir + "/index.lock"
)

// layoutPoll is how often a lock that is held is tried again.
const layoutPoll = 10 * time.Millisecond

var errBusy = fmt.Errorf("%w: another process holds the lock of the OCI layout", ErrUnavailable)

// lock waits for a lock for as long as an engine may take to answer.
func (l *Layout) lock(ctx context.Context, name string, shared bool) (unlock func(), err error) {
	file, err := l.lockFile(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := brief(ctx)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	try := file.TryLockContext
	if shared {
		try = file.TryRLockContext
	}
	if _, err := try(ctx, layoutPoll); err != nil {
		if errors.Is(context.Cause(ctx), errSlow) {
			err = errBusy
		}
		return nil, errors.Join(err, file.Close())
	}
	// Closing the file frees the lock.
	return func() { _ = file.Close() }, nil
}

// tryLock takes a lock alone if it is free; nil if it is not.
func (l *Layout) tryLock(name string) (unlock func(), err error) {
	file, err := l.lockFile(name)
	if err != nil {
		return nil, err
	}
	if ok, err := file.TryLock(); !ok || err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// lockFile makes sure that the lock's file is there and a file of its own: flock opens it by its path and would
// follow a link.
func (l *Layout) lockFile(name string) (*flock.Flock, error) {
	if err := l.root.MkdirAll(privateDir, 0o755); err != nil {
		return nil, err
	}
	f, err := l.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for _, p := range []string{path.Dir(name), name} {
		if info, err := l.root.Lstat(p); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return nil, errors.Join(fmt.Errorf("%s is a symbolic link; remove it", p), err)
		}
	}
	return flock.New(filepath.Join(l.path, filepath.FromSlash(name))), nil
}
