package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// pendingFile is a file that appears whole or not at all: it is written beside its place and
// renamed. What is no regular file, such as /dev/stdout or a pipe, is written to directly.
type pendingFile struct {
	path   string
	file   *os.File
	direct bool
	done   bool
}

// openPending fails if the file could not be written later on.
func openPending(path string) (*pendingFile, error) {
	// A link stays a link, and its target is what gets replaced.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a folder", path)
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		return &pendingFile{path: path, file: f, direct: true}, err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	// as buildx writes it: a result, for others to read
	f, err := os.OpenFile(path+".pinion-"+rand.Text(), os.O_WRONLY|os.O_CREATE|os.O_EXCL,
		0o644) //nolint:gosec
	if err != nil {
		return nil, err
	}
	return &pendingFile{path: path, file: f}, nil
}

// removeOld removes what is in the file's place.
func (p *pendingFile) removeOld() error {
	if p.direct {
		return nil
	}
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (p *pendingFile) commit(text []byte) error {
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

// discard leaves no trace of a file that was not committed.
func (p *pendingFile) discard() {
	if p.done {
		return
	}
	p.done = true
	_ = p.file.Close()
	if !p.direct {
		_ = os.Remove(p.file.Name())
	}
}
