package history

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Kinds of builds in a [Filter].
const (
	KindRunning     = "running" // queued ones too
	KindDone        = "done"
	KindFailed      = "failed"
	KindInterrupted = "interrupted"
	KindHit         = "hit"
	KindSave        = "save" // of a build's cache, whatever came of it
)

// Kinds are all kinds of builds.
var Kinds = []string{KindRunning, KindDone, KindFailed, KindInterrupted, KindHit, KindSave}

// KindList names all kinds, for people.
func KindList() string { return strings.Join(Kinds, ", ") }

// Builds returns the kinds of what is neither a hit nor a save.
func Builds() []string {
	return []string{KindRunning, KindDone, KindFailed, KindInterrupted}
}

// Filter chooses builds. The zero value chooses all.
type Filter struct {
	Names []string // of templates; none means all
	// Only has the templates that whoever asks may see; none means all.
	Only  []string
	Kinds []string // none means all
	// Since and Before bound the time of the start, unless they are zero.
	Since, Before time.Time
	Limit         int // 0 means none
}

// Wants reports whether the filter chooses the build, whatever the limit.
func (f Filter) Wants(b Build) bool {
	return f.covers(b.Started) && among(f.Names, []byte(b.Name)) &&
		among(f.Only, []byte(b.Name)) && among(f.Kinds, []byte(b.kind()))
}

// among reports whether a list has the text, or is empty. It allocates nothing.
func among(list []string, text []byte) bool {
	return len(list) == 0 ||
		slices.ContainsFunc(list, func(s string) bool { return s == string(text) })
}

// covers reports whether the filter includes the time.
func (f Filter) covers(t time.Time) bool {
	return !t.Before(f.Since) && (f.Before.IsZero() || t.Before(f.Before))
}

// tuple is what filters compare, without the start: kind and name.
func tuple(b Build) []byte { return []byte(b.kind() + "\x00" + b.Name) }

// isHitTuple reports whether a tuple is that of a hit.
func isHitTuple(t []byte) bool { return bytes.HasPrefix(t, []byte(KindHit+"\x00")) }

// List returns builds, the newest first: those of the database, those that run, and those that
// [Dir.Take] has not moved yet.
func (d *Dir) List(_ context.Context, f Filter) ([]Build, error) {
	list, err := d.waiting()
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(b Build) bool { return !f.Wants(b) })
	_, err = d.view(func(tx *bolt.Tx) error {
		n := 0
		for key := range match(tx, f) {
			if f.Limit > 0 && n >= f.Limit {
				return nil
			}
			b, err := get(tx, key)
			if err != nil {
				return err
			}
			n++
			list = add(list, b)
		}
		return nil
	})
	SortNewestFirst(list)
	if f.Limit > 0 {
		list = list[:min(len(list), f.Limit)]
	}
	return list, err
}

// SortNewestFirst sorts builds by their start.
func SortNewestFirst(list []Build) {
	slices.SortStableFunc(list, func(a, b Build) int { return b.Started.Compare(a.Started) })
}

// add appends a build of the database, or replaces the one of a journal that was moved meanwhile.
func add(list []Build, b Build) []Build {
	if i := slices.IndexFunc(list, func(o Build) bool { return o.ID == b.ID }); i >= 0 {
		list[i] = b
		return list
	}
	return append(list, b)
}

// match yields the keys of the builds that a filter chooses, the newest first.
func match(tx *bolt.Tx, f Filter) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c := tx.Bucket(bucketIndex).Cursor()
		key, value := c.Last()
		if !f.Before.IsZero() {
			if key, _ = c.Seek(keyOf(f.Before, "")); key == nil {
				key, value = c.Last()
			} else {
				key, value = c.Prev()
			}
		}
		for ; key != nil; key, value = c.Prev() {
			started := startOf(key)
			if started.Before(f.Since) {
				return
			}
			kind, name, _ := bytes.Cut(value, []byte{0})
			if f.covers(started) && among(f.Names, name) && among(f.Only, name) &&
				among(f.Kinds, kind) && !yield(key) {
				return
			}
		}
	}
}

func get(tx *bolt.Tx, key []byte) (b Build, err error) {
	value := tx.Bucket(bucketBuilds).Get(key)
	if value == nil {
		return b, ErrNotFound
	}
	return b, json.Unmarshal(value, &b)
}

// waiting returns the builds that have a journal. One that cannot be read is left out.
func (d *Dir) waiting() (list []Build, err error) {
	ids, err := d.journals()
	for _, id := range ids {
		running := d.isLocked(id) // asked first: what has ended by now has written how
		if b, _, err := d.readJournalOf(id, running, false); err == nil {
			list = append(list, b)
		}
	}
	return list, err
}

// Find returns the build whose ID begins with the text. The error may be ErrNotFound or
// ErrAmbiguous.
func (d *Dir) Find(_ context.Context, prefix string) (b Build, err error) {
	list, err := d.waiting()
	if err != nil {
		return b, err
	}
	list = slices.DeleteFunc(list, func(b Build) bool { return !strings.HasPrefix(b.ID, prefix) })
	_, err = d.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketIDs).Cursor()
		start := []byte(prefix)
		id, key := c.Seek(start)
		for n := 0; bytes.HasPrefix(id, start) && n < 2; id, key = c.Next() {
			n++
			found, err := get(tx, key)
			if err != nil {
				return err
			}
			list = add(list, found)
		}
		return nil
	})
	switch {
	case err != nil:
		return b, err
	case len(list) == 0:
		return b, ErrNotFound
	case len(list) > 1:
		return b, ErrAmbiguous
	}
	return list[0], nil
}
