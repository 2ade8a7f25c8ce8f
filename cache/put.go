package cache

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Put files a record, mode 0600, replacing one of the same key, store and
// kind. It appears whole or not at all: any failure (a full or read-only disk)
// leaves the older record, if there was one, and no partial file. The caller
// holds the key's lock. All errors are *Error.
func (d *Dir) Put(rec Record) error {
	name, err := rec.path()
	if err == nil {
		err = rec.check()
	}
	if err != nil {
		return d.fail("put", recordsDir, err)
	}
	if err := d.put(name, rec); err != nil {
		return d.fail("put", name, err)
	}
	return nil
}

func (d *Dir) put(name string, rec Record) error {
	data, err := encode(rec)
	if err != nil {
		return err
	}
	return d.replace(name, data)
}

// replace gives a file new contents: all of them or none.
func (d *Dir) replace(name string, data []byte) error {
	dir := path.Dir(name)
	if err := d.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	d.sweep(dir)
	temp := path.Join(dir, tempPrefix+rand.Text())
	if err := d.write(temp, data); err != nil {
		return errors.Join(err, ignoreMissing(d.root.Remove(temp)))
	}
	// The folder itself is not synced: a record lost to a power cut is a miss.
	if err := d.root.Rename(temp, name); err != nil {
		return errors.Join(err, ignoreMissing(d.root.Remove(temp)))
	}
	return nil
}

// write fills a new file and has it on the disk before it returns, so that the
// rename that follows cannot publish an empty file after a power cut.
func (d *Dir) write(name string, data []byte) error {
	f, err := d.create(name)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// staleTemp is far longer than a Put takes.
const staleTemp = time.Hour

// sweep removes what killed processes left behind, best effort. A clock that
// jumps can at worst make another process's Put fail, which costs a miss.
func (d *Dir) sweep(dir string) {
	entries, err := fs.ReadDir(d.root.FS(), dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), tempPrefix) &&
			time.Since(info.ModTime()) > staleTemp {
			_ = d.root.Remove(path.Join(dir, e.Name()))
		}
	}
}

// Forget removes a record. One that is gone already is no error. The caller
// holds the key's lock.
func (d *Dir) Forget(rec Record) error {
	name, err := rec.path()
	if err != nil {
		return d.fail("forget", recordsDir, err)
	}
	if err := ignoreMissing(d.root.Remove(name)); err != nil {
		return d.fail("forget", name, err)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
