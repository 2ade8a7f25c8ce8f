package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
)

// replacedSuffix ends the names of records whose image was replaced by another one of the same key.
// Readers of records pass over them.
const replacedSuffix = ".replaced"

// replacedName returns the file of a record that was replaced, for the record's own file.
func replacedName(name string, rec Record) string {
	sum := sha256.Sum256([]byte(rec.ImageID))
	return strings.TrimSuffix(name, recordSuffix) + "-" + hex.EncodeToString(sum[:6]) +
		replacedSuffix
}

// keepReplaced keeps a record that is about to be replaced by one of another image, and no longer
// that of an image that is in use again. It is best effort: an image without a record is never
// removed.
func (d *Dir) keepReplaced(name string, by Record) {
	_ = d.root.Remove(replacedName(name, by))
	old, err := d.readNamed(name)
	if err != nil || old.ImageID == by.ImageID {
		return
	}
	if data, err := encode(old); err == nil {
		_ = d.replace(replacedName(name, old), data)
	}
}

// Replaced returns the records that [Dir.Put] replaced by those of other images and that were not
// forgotten since, in no order. It skips what it cannot read. All errors are *Error.
func (d *Dir) Replaced() (recs []Record, err error) {
	names, err := fs.Glob(d.root.FS(), path.Join(recordsDir, "*", "*", "*"+replacedSuffix))
	if err != nil {
		return nil, d.fail("read", recordsDir, err)
	}
	for _, name := range names {
		data, err := d.readSmall(name)
		if err != nil {
			continue
		}
		rec, err := decode(strings.NewReader(data))
		if err != nil {
			continue
		}
		if own, err := rec.path(); err == nil && replacedName(own, rec) == name {
			recs = append(recs, rec)
		}
	}
	return recs, nil
}

// ForgetReplaced removes one of the records of [Dir.Replaced]. It is no error if there is none. The
// caller holds the key's lock. All errors are *Error.
func (d *Dir) ForgetReplaced(rec Record) error {
	name, err := rec.path()
	if err != nil {
		return d.fail("forget", recordsDir, err)
	}
	name = replacedName(name, rec)
	if err := ignoreMissing(d.root.Remove(name)); err != nil {
		return d.fail("forget", name, err)
	}
	d.removeEmpty(path.Dir(name))
	return nil
}
