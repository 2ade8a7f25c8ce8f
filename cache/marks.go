package cache

import (
	"crypto/rand"
	"errors"
	"path"
	"strings"
)

// marksFile names records of its folder, so that the others need not be read. Readers of records
// pass over it.
const marksFile = "last"

// Marks name records of one line in one store, each as [Record.Mark]. They are hints: a record may
// be gone, and there are none in folders of earlier versions.
type Marks struct {
	// Answered is the record whose image was handed out or built last.
	Answered string
	// Head is the last one of these that was the head of the branch when the image was requested.
	Head string
	// Closed: the line is of a pull request that was closed, and no image of it was handed out
	// since.
	Closed bool
}

// With returns the marks after the image of a record was handed out or built.
func (m Marks) With(rec Record, isHead bool) Marks {
	m.Answered, m.Closed = rec.Mark(), false
	if isHead {
		m.Head = m.Answered
	}
	return m
}

// Mark identifies the record among those of its line in one store.
func (r Record) Mark() string { return strings.TrimPrefix(r.Key, "sha256:") + "-" + r.StoreKind }

// Marks returns the marks of one line in one store, empty ones if there are none or they cannot be
// read.
func (d *Dir) Marks(line, store string) (m Marks) {
	dir, err := recordFolder(line, store)
	if err != nil {
		return m
	}
	all, err := d.readSmall(path.Join(dir, marksFile))
	if err != nil {
		return m
	}
	for text := range strings.Lines(all) {
		switch what, mark, _ := strings.Cut(strings.TrimSpace(text), " "); what {
		case "answered":
			m.Answered = mark
		case "head":
			m.Head = mark
		case "closed":
			m.Closed = true
		}
	}
	return m
}

// PutMarks replaces the marks of one line in one store. Another process may replace them at the
// same time, and a power cut may lose them. All errors are *Error.
func (d *Dir) PutMarks(line, store string, m Marks) error {
	dir, err := recordFolder(line, store)
	if err != nil {
		return d.fail("mark", recordsDir, err)
	}
	var text strings.Builder
	for _, m := range [][2]string{{"answered", m.Answered}, {"head", m.Head}} {
		if m[1] != "" {
			text.WriteString(m[0] + " " + m[1] + "\n")
		}
	}
	temp, name := path.Join(dir, tempPrefix+rand.Text()), path.Join(dir, marksFile)
	if m.Closed {
		text.WriteString("closed\n")
	}
	err = d.root.WriteFile(temp, []byte(text.String()), 0o600)
	if err == nil {
		err = d.root.Rename(temp, name)
	}
	if err != nil {
		return d.fail("mark", name, errors.Join(err, ignoreMissing(d.root.Remove(temp))))
	}
	return nil
}

// dropMarks removes a record from the marks of its line.
func (d *Dir) dropMarks(rec Record) {
	m := d.Marks(rec.Line, rec.Store)
	left := m
	if left.Answered == rec.Mark() {
		left.Answered = ""
	}
	if left.Head == rec.Mark() {
		left.Head = ""
	}
	switch dir, err := recordFolder(rec.Line, rec.Store); {
	case err != nil || left == m:
	case left.Answered == "" && left.Head == "":
		_ = d.root.Remove(path.Join(dir, marksFile)) // a hint
	default:
		_ = d.PutMarks(rec.Line, rec.Store, left)
	}
}

// Marked returns the record that a mark names. ok is false if it is gone or no record; a bad file
// is renamed, as by [Dir.Find], and rejected is its path.
func (d *Dir) Marked(line, store, mark string) (rec Record, rejected string, ok bool) {
	dir, err := recordFolder(line, store)
	if _, bad := component("mark", mark); err != nil || bad != nil {
		return Record{}, "", false
	}
	name := path.Join(dir, mark+recordSuffix)
	rec, err = d.readNamed(name)
	if errors.Is(err, ErrInvalidRecord) {
		d.putAside(name)
		rejected = name
	}
	return rec, rejected, err == nil
}
