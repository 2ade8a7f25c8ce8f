package cache

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// settled is the age from which on a file is remembered. A file system may give two changes
	// within some milliseconds the same time.
	settled = time.Second
	// maxRecalled bounds the files that are remembered. One more, and all are forgotten.
	maxRecalled = 4096
)

// recalled has what was read of files, for programs that read the same ones many times. It is used
// as long as the file is the same one, with the same size and time of change. All files are
// replaced and not changed, so each change shows.
type recalled struct {
	mu    sync.Mutex
	files map[string]recalledFile
}

type recalledFile struct {
	info  fs.FileInfo
	value any
}

// recall returns what read returns for the file with that name, if need be from memory. read gets
// the mode of the file. The value is shared.
func (d *Dir) recall(name string, read func(fs.FileInfo) (any, error)) (any, error) {
	info, err := os.Lstat(filepath.Join(d.path, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	d.recalled.mu.Lock()
	known, ok := d.recalled.files[name]
	d.recalled.mu.Unlock()
	if ok && isSame(known.info, info) {
		return known.value, nil
	}
	isSettled := time.Since(info.ModTime()) >= settled
	value, err := read(info)
	// Windows looks at the file's identity when it is first compared.
	if err != nil || !isSettled || !os.SameFile(info, info) {
		return value, err
	}
	d.recalled.mu.Lock()
	defer d.recalled.mu.Unlock()
	if d.recalled.files == nil || len(d.recalled.files) >= maxRecalled {
		d.recalled.files = map[string]recalledFile{}
	}
	d.recalled.files[name] = recalledFile{info, value}
	return value, nil
}

func isSame(a, b fs.FileInfo) bool {
	return a.Mode() == b.Mode() && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) &&
		os.SameFile(a, b)
}
