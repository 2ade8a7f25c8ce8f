package output

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// PendingFile is a file that appears whole or not at all: it is written under a temporary name in
// the same folder and then renamed. A path that is not a regular file, such as /dev/stdout or a
// pipe, is written to directly.
type PendingFile struct {
	path   string
	file   *os.File
	direct bool
	done   bool
}

// OpenPending returns an error if the file at path could not be written later on.
func OpenPending(path string) (*PendingFile, error) {
	// A link stays a link; its target is replaced.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a folder", path)
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		return &PendingFile{path: path, file: f, direct: true}, err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	name := path + ".pinion-" + rand.Text()
	//nolint:gosec // buildx's mode: other users may read the result
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &PendingFile{path: path, file: f}, nil
}

// RemoveOld removes the file that Commit would replace.
func (p *PendingFile) RemoveOld() error {
	if p.direct {
		return nil
	}
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Commit writes the text and moves the file to its path.
func (p *PendingFile) Commit(text []byte) error {
	if _, err := p.file.Write(text); err != nil {
		return err
	}
	if p.direct {
		p.done = true
		return p.file.Close()
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(p.file.Name(), p.path); err != nil {
		return err
	}
	p.done = true
	return nil
}

// Discard removes the temporary file unless it was committed.
func (p *PendingFile) Discard() {
	if p.done {
		return
	}
	p.done = true
	_ = p.file.Close()
	if !p.direct {
		_ = os.Remove(p.file.Name())
	}
}
