package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// Take moves what has ended into the database, and removes what is beyond the limits. What cannot
// be moved stays, and is an error.
func (d *Dir) Take(ctx context.Context) error {
	return d.locked(ctx, lockTake, lockWait, func() error {
		ids, err := d.journals()
		if err != nil {
			return err
		}
		var failed error
		for _, id := range ids {
			if ctx.Err() != nil {
				return failed
			}
			if err := d.takeJournal(id); err != nil && failed == nil {
				failed = fmt.Errorf("build %s: %w", id, err)
			}
		}
		for _, name := range []string{oldHits, fileHits} {
			if err := d.takeHits(ctx, name); err != nil && failed == nil {
				failed = err
			}
		}
		if failed != nil {
			return errors.Join(failed, d.dropJournals())
		}
		return d.trim()
	})
}

// maxJournals bounds the number of journals that wait while the database cannot be written.
const maxJournals = 500

// dropJournals removes the oldest journals of builds that have ended, beyond the limits.
func (d *Dir) dropJournals() error {
	entries, err := fs.ReadDir(d.root.FS(), dirJournals)
	if err != nil {
		return err
	}
	type file struct {
		id   string
		info fs.FileInfo
	}
	var ended []file
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".jsonl")
		info, err := e.Info()
		if ok && err == nil && !d.isLocked(id) {
			ended = append(ended, file{id, info})
		}
	}
	slices.SortFunc(ended, func(a, b file) int {
		return b.info.ModTime().Compare(a.info.ModTime())
	})
	var size int64
	for i, f := range ended {
		if size += f.info.Size(); i < maxJournals && size <= d.limits.Bytes {
			continue
		}
		if err := d.removeJournal(f.id); err != nil {
			return err
		}
	}
	return nil
}

// takeJournal takes in the journal of a build that has ended, or whose process has.
func (d *Dir) takeJournal(id string) error {
	lock, err := filelock.Open(d.root, journalLock(id), 0o600)
	if err != nil {
		return err
	}
	ok, err := lock.Try(filelock.Alone)
	if err == nil && ok {
		err = d.takeUnlocked(id)
	}
	// Windows removes no file that is open. Nobody waits for this lock.
	if err = errors.Join(err, lock.Close()); err != nil || !ok {
		return err
	}
	return d.removeJournal(id)
}

func (d *Dir) takeUnlocked(id string) error {
	b, events, err := d.readJournalOf(id, false, true)
	switch {
	case errors.Is(err, errEmpty), errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	b.PID = 0
	return d.update(func(tx *bolt.Tx) error { return put(tx, b, events) })
}

// removeJournal removes a journal and its lock.
func (d *Dir) removeJournal(id string) error {
	return errors.Join(d.remove(journalFile(id)), d.remove(journalLock(id)))
}

// readJournalOf returns what the journal of a build has. A build that is not running and whose
// process has not said how it ended is Interrupted.
func (d *Dir) readJournalOf(
	id string, running, withEvents bool,
) (Build, []pinion.Event, error) {
	f, err := d.root.Open(journalFile(id))
	if err != nil {
		return Build{}, nil, err
	}
	defer f.Close()
	b, events, err := readJournal(f, withEvents)
	if err != nil || !b.IsRunning() || running {
		return b, events, err
	}
	info, err := f.Stat()
	if err != nil {
		return b, events, err
	}
	b.State, b.Position, b.Ended = Interrupted, 0, info.ModTime().UTC()
	return b, events, nil
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
	ok, err := lock.Try(filelock.Shared)
	return err == nil && !ok
}
