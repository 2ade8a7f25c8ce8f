package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Records returns the records of one line in one store, the newest BuiltAt first. Files that are
// not records of this schema (truncated, garbled, misplaced, or written by a newer version) are
// renamed to *.bad; rejected has their paths relative to the cache folder. It is no error if there
// are none. All errors are *Error. With one, the records are those that can be read.
//
// It takes no lock. If another process replaces a bad file at that moment, the
// new one may be renamed instead, which costs a miss.
func (d *Dir) Records(line, store string) (recs []Record, rejected []string, err error) {
	dir, err := recordFolder(line, store)
	if err != nil {
		return nil, nil, d.fail("read", recordsDir, err)
	}
	recs, bad, err := d.readFolder(dir)
	for _, name := range bad {
		d.putAside(name)
	}
	newestFirst(recs)
	return recs, bad, err
}

// storeKinds are the values of Record.StoreKind.
var storeKinds = []string{"classic", "containerd", "oci"}

// Find returns the records of one key of a line in one store, one for each kind of store at most,
// the newest BuiltAt first. It reads them by their names, however many others there are. Bad files
// are renamed as by [Dir.Records]. All errors are *Error.
func (d *Dir) Find(line, store, key string) (recs []Record, rejected []string, err error) {
	for _, kind := range storeKinds {
		name, err := Record{Line: line, Store: store, Key: key, StoreKind: kind}.path()
		if err != nil {
			return nil, nil, d.fail("read", recordsDir, err)
		}
		rec, err := d.readNamed(name)
		switch {
		case err == nil:
			recs = append(recs, rec)
		case errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, ErrInvalidRecord):
			d.putAside(name)
			rejected = append(rejected, name)
		default:
			return nil, nil, d.fail("read", name, err)
		}
	}
	newestFirst(recs)
	return recs, rejected, nil
}

// putAside renames a bad file. On a read-only disk it keeps its name.
func (d *Dir) putAside(name string) { _ = d.root.Rename(name, name+badSuffix) }

// All returns every readable record, the newest BuiltAt first. It skips files and folders that it
// cannot read and renames none. All errors are *Error.
func (d *Dir) All() ([]Record, error) {
	folders, err := fs.Glob(d.root.FS(), path.Join(recordsDir, "*", "*"))
	if err != nil {
		return nil, d.fail("read", recordsDir, err)
	}
	var all []Record
	for _, dir := range folders {
		if info, err := d.root.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		// What was read of a folder before an error counts.
		recs, _, _ := d.readFolder(dir)
		all = append(all, recs...)
	}
	newestFirst(all)
	return all, nil
}

// readFolder returns the records of one folder, and the names of the files that are no records in
// spite of their suffix. It reads all that it can; the error is that of the first other file.
func (d *Dir) readFolder(dir string) (recs []Record, bad []string, err error) {
	entries, err := fs.ReadDir(d.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, d.fail("read", dir, err)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), tempPrefix) || !strings.HasSuffix(name, recordSuffix) {
			continue
		}
		rec, failed := d.readFile(name, e.Type())
		switch {
		case failed == nil:
			recs = append(recs, rec)
		case errors.Is(failed, fs.ErrNotExist): // removed since the folder was read
		case errors.Is(failed, ErrInvalidRecord):
			bad = append(bad, name)
		case err == nil:
			err = d.fail("read", name, failed)
		}
	}
	return recs, bad, err
}

// readNamed reads a record by its name.
func (d *Dir) readNamed(name string) (Record, error) {
	rec, err := d.recall(name, func(info fs.FileInfo) (any, error) {
		return d.readFile(name, info.Mode().Type())
	})
	if err != nil {
		return Record{}, err
	}
	return rec.(Record).clone(), nil
}

// readSmall reads a file that has the size of a record at most.
func (d *Dir) readSmall(name string) (string, error) {
	text, err := d.recall(name, func(info fs.FileInfo) (any, error) {
		if !info.Mode().IsRegular() || info.Size() > maxRecordSize {
			return nil, fmt.Errorf("%w: not a small file", ErrInvalidRecord)
		}
		data, err := d.root.ReadFile(name)
		return string(data), err
	})
	if err != nil {
		return "", err
	}
	return text.(string), nil
}

func (d *Dir) readFile(name string, mode fs.FileMode) (Record, error) {
	// Put writes no symbolic links and pipes, and opening a pipe would block.
	if !mode.IsRegular() {
		return Record{}, fmt.Errorf("%w: not a regular file", ErrInvalidRecord)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	rec, err := decode(f)
	if err != nil {
		return Record{}, err
	}
	if want, err := rec.path(); err != nil || want != name {
		return Record{}, fmt.Errorf("%w: it belongs at %s", ErrInvalidRecord, want)
	}
	return rec, nil
}

func newestFirst(recs []Record) {
	slices.SortStableFunc(recs, func(a, b Record) int { return b.BuiltAt.Compare(a.BuiltAt) })
}
