package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"git.moleculesai.app/molecule-ai/pinion/internal/fileowner"
)

// Dir is an open cache folder. It is safe for concurrent use, by goroutines
// and by processes.
type Dir struct {
	path string
	root *os.Root
	// create opens a new temporary file; tests put failing disks here.
	create func(name string) (tempFile, error)
}

// tempFile is what Put needs of a file.
type tempFile interface {
	io.Writer
	Sync() error
	Close() error
}

// Open opens the cache folder, and creates it with mode 0700 if it is missing.
// A folder that is a symbolic link, belongs to another user, or is writable by
// others is refused with ErrInsecure. An existing folder's mode is left as it
// is: the path comes from the user and may have been meant for something else.
// All errors are *Error.
func Open(path string) (*Dir, error) {
	d, err := open(path)
	if err != nil {
		return nil, &Error{Op: "open", Path: path, Err: err}
	}
	return d, nil
}

func open(path string) (*Dir, error) {
	if path == "" {
		// filepath.Abs would make the current folder of it, whoever may write there.
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
	if err := checkFolder(before); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	// What was checked must be what was opened.
	after, err := root.Stat(".")
	if err != nil || !os.SameFile(before, after) {
		return nil, errors.Join(fmt.Errorf("%w: it was exchanged while being opened", ErrInsecure),
			err, root.Close())
	}
	d := &Dir{path: abs, root: root}
	d.create = d.createTemp
	return d, nil
}

// checkFolder refuses a folder that another user could change.
func checkFolder(info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%w: it is a symbolic link; name the folder itself", ErrInsecure)
	case !info.IsDir():
		return fmt.Errorf("%w: it is not a folder", ErrInsecure)
	case !fileowner.Ours(info):
		return fmt.Errorf("%w: it belongs to another user; choose another folder with "+
			"MOLECULE_LOCAL_BUILD_CACHE", ErrInsecure)
	case writableByOthers(info):
		return fmt.Errorf("%w: group or others may write to it; run chmod 700 on it", ErrInsecure)
	}
	return nil
}

// Exists says that the folder is still there under its path.
func (d *Dir) Exists() bool {
	there, err := os.Stat(d.path)
	if err != nil {
		return false
	}
	ours, err := d.root.Stat(".")
	return err == nil && os.SameFile(there, ours)
}

// Path is the folder's absolute path.
func (d *Dir) Path() string { return d.path }

// Close releases the folder. Locks that are held stay held.
func (d *Dir) Close() error { return d.root.Close() }

func (d *Dir) createTemp(name string) (tempFile, error) {
	return d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// fail makes the package's error for a path inside the folder.
func (d *Dir) fail(op, name string, err error) error {
	return &Error{Op: op, Path: filepath.Join(d.path, filepath.FromSlash(name)), Err: err}
}
