package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/fileowner"
)

// Dir is an open cache folder. It is safe for concurrent use, by goroutines
// and by processes.
type Dir struct {
	path string
	root *os.Root
	// create opens a new temporary file. Tests replace it by a disk that fails.
	create   func(name string) (tempFile, error)
	recalled recalled
}

// tempFile is what Put needs of a file.
type tempFile interface {
	io.Writer
	Sync() error
	Close() error
}

// Open opens the cache folder, and creates it with mode 0700 if it is missing.
// A folder that is a symbolic link, belongs to another user, or is writable by
// others is refused with ErrInsecure. An existing folder keeps its mode, since
// the user may have named a folder of another program. All errors are *Error.
func Open(path string) (*Dir, error) {
	d, err := open(path)
	if err != nil {
		return nil, &Error{Op: "open", Path: path, Err: err}
	}
	return d, nil
}

func open(path string) (*Dir, error) {
	if path == "" {
		// filepath.Abs would return the current folder.
		return nil, errNoFolder
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, err
	}
	before, err := os.Lstat(abs)
	if err != nil {
		return nil, err
	}
	if err := checkFolder(abs, before); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	// The folder may have been replaced since it was checked.
	after, err := root.Stat(".")
	if err != nil || !os.SameFile(before, after) {
		return nil,
			errors.Join(fmt.Errorf("%w: it was replaced while it was being opened", ErrInsecure),
				err, root.Close())
	}
	d := &Dir{path: abs, root: root}
	d.create = d.createTemp
	return d, nil
}

// checkFolder refuses a folder that another user could change.
func checkFolder(path string, info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return unsuitable("it is a symbolic link")
	case !info.IsDir():
		return unsuitable("it is not a folder")
	case !fileowner.Ours(info):
		return unsuitable("it belongs to another user")
	case writableByOthers(info):
		return errdef.In(errdef.CacheFolderWritable, path,
			fmt.Errorf("%w: group or others may write to it (mode %04o)", ErrInsecure,
				info.Mode().Perm()))
	}
	return nil
}

func unsuitable(why string) error {
	return errdef.In(errdef.CacheFolderUnsuitable, "", fmt.Errorf("%w: %s", ErrInsecure, why))
}

// Exists reports whether the folder still exists under its path.
func (d *Dir) Exists() bool {
	current, err := os.Stat(d.path)
	if err != nil {
		return false
	}
	opened, err := d.root.Stat(".")
	return err == nil && os.SameFile(current, opened)
}

// Path returns the folder's absolute path.
func (d *Dir) Path() string { return d.path }

// Close releases the folder. It does not free locks.
func (d *Dir) Close() error { return d.root.Close() }

func (d *Dir) createTemp(name string) (tempFile, error) {
	return d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// fail returns err as an *Error for a path inside the folder.
func (d *Dir) fail(op, name string, err error) error {
	return &Error{Op: op, Path: filepath.Join(d.path, filepath.FromSlash(name)), Err: err}
}
