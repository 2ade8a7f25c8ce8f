// Package filelock locks files below a folder that is open, against other processes and other
// goroutines. The kernel frees a lock when its holder ends, however that happens. The files stay:
// one that was removed while somebody waits for it would lock nobody out.
//
// On network file systems it promises what they do, which may be nothing.
package filelock

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

// ErrLink says that the file of a lock, or its folder, is a symbolic link.
var ErrLink = errors.New("is a symbolic link; remove it")

// Mode is a way to hold a lock.
type Mode int

// The modes.
const (
	Alone  Mode = iota
	Shared      // with others who hold it so
)

// File is the file of one lock, which nobody holds yet.
type File struct{ flock *flock.Flock }

// Open makes sure that the file and its folder are there, made with perm (who may read may also
// enter the folder), and that neither is a link: flock opens the file by its path and would follow
// it. The root has to have been opened by an absolute path.
func Open(root *os.Root, name string, perm fs.FileMode) (*File, error) {
	dir := path.Dir(name)
	if err := root.MkdirAll(dir, perm|perm&0o444>>2); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, perm)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for _, p := range []string{dir, name} {
		info, err := root.Lstat(p)
		if err != nil {
			return nil, err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("%s %w", p, ErrLink)
		}
	}
	return &File{flock.New(filepath.Join(root.Name(), filepath.FromSlash(name)),
		flock.SetPermissions(perm))}, nil
}

// Try takes the lock if it is free, and says whether it was.
func (f *File) Try(mode Mode) (bool, error) {
	if mode == Shared {
		return f.flock.TryRLock()
	}
	return f.flock.TryLock()
}

// Wait takes the lock, and tries again so often until it is free. The error is the context's or the
// system's.
func (f *File) Wait(ctx context.Context, mode Mode, again time.Duration) error {
	try := f.flock.TryLockContext
	if mode == Shared {
		try = f.flock.TryRLockContext
	}
	_, err := try(ctx, again)
	return err
}

// Close frees the lock, if it is held. It may be called again.
func (f *File) Close() error { return f.flock.Close() }
