package cache

import (
	"errors"
	"io/fs"
	"path"
)

// savesDir holds the saves of build caches that one process has left to another, each under a key.
const savesDir = "saves"

// maxSaveSize bounds such a file. A build graph with the sources of its Dockerfile is far below it.
const maxSaveSize = 16 << 20

// PutSave leaves a save to another process, in place of an older one of the same key. All errors
// are *Error.
func (d *Dir) PutSave(key string, data []byte) error {
	name, err := component("key", key)
	if err == nil && len(data) > maxSaveSize {
		err = errTooLarge
	}
	if err == nil {
		err = d.replace(path.Join(savesDir, name), data)
	}
	if err != nil {
		return d.fail("put", savesDir, err)
	}
	return nil
}

// TakeSave returns the save that waits under a key and removes it; nil if there is none. The caller
// holds a lock, so that no other process takes the same. All errors are *Error.
func (d *Dir) TakeSave(key string) ([]byte, error) {
	name, err := component("key", key)
	if err != nil {
		return nil, d.fail("take", savesDir, err)
	}
	file := path.Join(savesDir, name)
	data, err := d.root.ReadFile(file)
	if err == nil {
		err = d.root.Remove(file)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, d.fail("take", file, err)
	}
	return data, nil
}
