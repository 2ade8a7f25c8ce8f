package cache

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Put stores a record with mode 0600 and replaces one of the same key, store and kind. It appears
// whole or not at all: a failure such as a full disk leaves the older record, if there is one, and
// no partial file. If that is of another image, [Dir.Replaced] has it from then on. The caller
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
	if len(data) > maxRecordSize {
		return errTooLarge
	}
	d.keepReplaced(name, rec)
	return d.replace(name, data)
}

// replace replaces the content of a file as a whole or not at all.
func (d *Dir) replace(name string, data []byte) error {
	dir := path.Dir(name)
	temp := path.Join(dir, tempPrefix+rand.Text())
	err := d.writeIn(dir, temp, data)
	if errors.Is(err, fs.ErrNotExist) {
		// Forget may have removed the empty folder in between.
		err = d.writeIn(dir, temp, data)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(d.root.Remove(temp)))
	}
	// The folder is not synced: a record that a power cut loses is a miss.
	if err := d.root.Rename(temp, name); err != nil {
		return errors.Join(err, ignoreMissing(d.root.Remove(temp)))
	}
	return nil
}

// writeIn writes a new file into a folder, which it makes if it is missing.
func (d *Dir) writeIn(dir, name string, data []byte) error {
	if err := d.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	d.sweep(dir)
	return d.write(name, data)
}

// write writes a new file and syncs it, so that the rename that follows cannot
// publish an empty file after a power cut.
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

// staleTemp is the age of an abandoned temporary file. It is far longer than a
// Put takes.
const staleTemp = time.Hour

// sweep removes the temporary files of killed processes and ignores errors. If
// the clock jumps, it can make another process's Put fail, which costs a miss.
func (d *Dir) sweep(dir string) {
	entries, err := fs.ReadDir(d.root.FS(), dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > staleTemp {
			_ = d.root.Remove(path.Join(dir, e.Name()))
		}
	}
}

// Forget removes a record, and the folders of its line that are empty then. It is no error if there
// is no such record. The caller holds the key's lock.
func (d *Dir) Forget(rec Record) error {
	name, err := rec.path()
	if err != nil {
		return d.fail("forget", recordsDir, err)
	}
	if err := ignoreMissing(d.root.Remove(name)); err != nil {
		return d.fail("forget", name, err)
	}
	d.dropMarks(rec)
	d.removeEmpty(path.Dir(name))
	return nil
}

// removeEmpty removes a folder of records and that of its line unless they have entries.
func (d *Dir) removeEmpty(dir string) {
	if d.root.Remove(dir) == nil {
		_ = d.root.Remove(path.Dir(dir))
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
