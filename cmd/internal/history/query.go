package history

import (
	"bytes"
	"context"
	"encoding/json"
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
	return f.covers(b.Started) && among(f.Names, b.Name) &&
		among(f.Only, b.Name) && among(f.Kinds, b.kind())
}

// among reports whether a list has the text, or is empty.
func among(list []string, text string) bool {
	return len(list) == 0 || slices.Contains(list, text)
}

// covers reports whether the filter includes the time.
func (f Filter) covers(t time.Time) bool {
	return !t.Before(f.Since) && (f.Before.IsZero() || t.Before(f.Before))
}

// List returns builds, the newest first: those of the database, those that run, and those that
// [Dir.Take] has not moved yet.
func (d *Dir) List(_ context.Context, f Filter) ([]Build, error) {
	list, err := d.waiting()
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(b Build) bool { return !f.Wants(b) })
	_, err = d.view(func(tx *bolt.Tx) error {
		for _, key := range match(tx, f) {
			b, err := get(tx, key)
			if err != nil {
				return err
			}
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
