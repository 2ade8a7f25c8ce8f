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

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// Kinds of builds in a [Filter].
const (
	KindRunning     = "running" // queued ones too
	KindDone        = "done"
	KindFailed      = "failed"
	KindInterrupted = "interrupted"
	KindHit         = "hit"
)

// Kinds are all kinds of builds.
var Kinds = []string{KindRunning, KindDone, KindFailed, KindInterrupted, KindHit}

// KindList names all kinds, for people.
func KindList() string { return strings.Join(Kinds, ", ") }

// Filter chooses builds. The zero value chooses all.
type Filter struct {
	Names []string // of templates; none means all
	Kinds []string // none means all
	// Since and Before bound the time of the start, unless they are zero.
	Since, Before time.Time
	Limit         int // 0 means none
}

// Wants reports whether the filter chooses the build, whatever the limit.
func (f Filter) Wants(b Build) bool {
	return f.covers(b.Started) && among(f.Names, []byte(b.Name)) && among(f.Kinds, []byte(b.kind()))
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

// List returns builds, the newest first. Those that run are included.
func (d *Dir) List(ctx context.Context, f Filter) ([]Build, error) {
	if err := d.Take(ctx); err != nil {
		return nil, err
	}
	list, err := d.runningBuilds()
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(b Build) bool { return !f.Wants(b) })
	_, err = d.view(func(tx *bolt.Tx) error {
		for key := range match(tx, f) {
			if f.Limit > 0 && len(list) >= f.Limit {
				return nil
			}
			b, err := get(tx, key)
			if err != nil {
				return err
			}
			list = append(list, b)
		}
		return nil
	})
	slices.SortStableFunc(list, func(a, b Build) int { return b.Started.Compare(a.Started) })
	if f.Limit > 0 {
		list = list[:min(len(list), f.Limit)]
	}
	return list, err
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
			if f.covers(started) && among(f.Names, name) && among(f.Kinds, kind) && !yield(key) {
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

// runningBuilds returns the builds whose processes write.
func (d *Dir) runningBuilds() (list []Build, err error) {
	ids, err := d.journals()
	for _, id := range ids {
		if b, _, err := d.readJournalOf(id); err == nil && b.IsRunning() && d.isLocked(id) {
			list = append(list, b)
		}
	}
	return list, err
}

// isLocked reports whether a process writes the journal.
func (d *Dir) isLocked(id string) bool {
	// Open would create the file of the lock. The lock is older than the journal.
	if _, err := d.root.Stat(journalFile(id)); err != nil {
		return false
	}
	lock, err := filelock.Open(d.root, journalLock(id), 0o600)
	if err != nil {
		return false
	}
	defer lock.Close()
	ok, err := lock.Try(filelock.Alone)
	return err == nil && !ok
}

// Find returns the build whose ID begins with the text. The error may be ErrNotFound or
// ErrAmbiguous.
func (d *Dir) Find(ctx context.Context, prefix string) (b Build, err error) {
	if err := d.Take(ctx); err != nil {
		return b, err
	}
	list, err := d.runningBuilds()
	if err != nil {
		return b, err
	}
	list = slices.DeleteFunc(list, func(b Build) bool { return !strings.HasPrefix(b.ID, prefix) })
	_, err = d.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketIDs).Cursor()
		start := []byte(prefix)
		id, key := c.Seek(start)
		for ; bytes.HasPrefix(id, start) && len(list) < 2; id, key = c.Next() {
			found, err := get(tx, key)
			if err != nil {
				return err
			}
			list = append(list, found)
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
