// Package filelock locks files below an open folder, against other processes and other goroutines.
//
// It guarantees that the kernel frees a lock when its holder ends, even if it crashes. The files
// are never removed: if one were removed while a process waits for it, two processes could hold the
// lock.
//
// It does not guarantee anything on network file systems, which may not support such locks.
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

// ErrLink is the error for a lock whose file or folder is a symbolic link.
var ErrLink = errors.New("is a symbolic link")

// Mode is a way to hold a lock.
type Mode int

// The modes.
const (
	Alone  Mode = iota // without other holders
	Shared             // with other holders that share it
)

// File is the file of one lock.
type File struct{ flock *flock.Flock }

// Open opens the file of a lock, and creates it and its folder with perm if they are missing (in
// the folder a right to read is also one to search). It refuses both if they are links, because
// flock opens the file by its path and would follow them. The root must have been opened by an
// absolute path. Open takes no lock.
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

// Try takes the lock if it is free, and reports whether it did.
func (f *File) Try(mode Mode) (bool, error) {
	if mode == Shared {
		return f.flock.TryRLock()
	}
	return f.flock.TryLock()
}

// Wait takes the lock as soon as it is free, and pauses between two tries. The error is the
// context's or the system's.
func (f *File) Wait(ctx context.Context, mode Mode, pause time.Duration) error {
	try := f.flock.TryLockContext
	if mode == Shared {
		try = f.flock.TryRLockContext
	}
	_, err := try(ctx, pause)
	return err
}

// Close frees the lock if it is held. It may be called more than once.
func (f *File) Close() error { return f.flock.Close() }
