package buildx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
	"git.moleculesai.app/molecule-ai/pinion/internal/fileowner"
)

const (
	// copyPrefix begins the names of copies in the system's folder for temporary files.
	copyPrefix = "pinion-buildx-"
	// copyLock is locked while a copy is in use. The kernel frees the lock when the process ends.
	copyLock = "pinion.lock"
)

// workingCopy is a folder of buildx with one builder, for one call of the plugin.
type workingCopy struct {
	dir  string
	lock *filelock.File
}

// copyOf makes a working copy. It also removes copies that earlier processes of this user left.
func (f Folder) copyOf(b Builder) (*workingCopy, error) {
	raw, err := f.read("instances", strings.ToLower(b.Name))
	if err != nil {
		return nil, err
	}
	tmp, err := filepath.Abs(os.TempDir())
	if err != nil {
		return nil, err
	}
	sweep(tmp)
	c, err := newCopy(tmp)
	if err != nil {
		return nil, err
	}
	if err = os.Mkdir(filepath.Join(c.dir, "instances"), 0o700); err == nil {
		err = os.WriteFile(filepath.Join(c.dir, "instances", strings.ToLower(b.Name)), raw, 0o600)
	}
	if err != nil {
		c.remove()
		return nil, err
	}
	return c, nil
}

// newCopy makes the folder and locks it. Another process may remove the folder before it is locked;
// then newCopy makes another.
func newCopy(tmp string) (*workingCopy, error) {
	var last error
	for range 10 {
		dir, err := os.MkdirTemp(tmp, copyPrefix)
		if err != nil {
			return nil, err
		}
		lock, err := lockCopy(dir)
		if err == nil {
			if _, err = os.Lstat(filepath.Join(dir, copyLock)); err == nil {
				return &workingCopy{dir, lock}, nil
			}
			_ = lock.Close() // its file is gone
		}
		if last = err; !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errInUse) {
			os.RemoveAll(dir)
			return nil, err
		}
	}
	return nil, last
}

// remove removes the copy and frees its lock.
func (c *workingCopy) remove() {
	os.RemoveAll(c.dir)
	_ = c.lock.Close() // its file is gone
}

var errInUse = errors.New("in use")

// lockCopy locks a copy. The error is [errInUse] if another process has it.
func lockCopy(dir string) (*filelock.File, error) {
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() || !fileowner.Ours(info) {
		return nil, errNotOurs
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if opened, err := root.Stat("."); err != nil || !os.SameFile(info, opened) {
		return nil, errors.Join(err, errNotOurs)
	}
	lock, err := filelock.Open(root, copyLock, 0o600)
	if err != nil {
		return nil, err
	}
	if free, err := lock.Try(filelock.Alone); err != nil || !free {
		_ = lock.Close()
		return nil, errors.Join(err, errInUse)
	}
	return lock, nil
}

var errNotOurs = errors.New("not a folder of this user")

// sweep removes the copies whose process was killed. A copy that cannot be removed stays; it does
// no harm.
func sweep(tmp string) {
	entries, _ := os.ReadDir(tmp)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), copyPrefix) {
			continue
		}
		dir := filepath.Join(tmp, e.Name())
		if lock, err := lockCopy(dir); err == nil {
			(&workingCopy{dir, lock}).remove()
		}
	}
}
