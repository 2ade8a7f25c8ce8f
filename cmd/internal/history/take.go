package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// Take moves what has ended into the database, and removes what is beyond the limits.
func (d *Dir) Take(ctx context.Context) error {
	return d.locked(ctx, lockTake, func() error {
		ids, err := d.journals()
		if err != nil {
			return err
		}
		var failed error
		for _, id := range ids {
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

// maxJournals bounds the journals that wait while the database cannot be written.
const maxJournals = 500

// dropJournals removes the oldest journals of builds that have ended, beyond the bound.
func (d *Dir) dropJournals() error {
	entries, err := fs.ReadDir(d.root.FS(), dirJournals)
	if err != nil {
		return err
	}
	age := map[string]time.Time{}
	var ended []string
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".jsonl")
		info, err := e.Info()
		if !ok || err != nil || d.isLocked(id) {
			continue
		}
		ended, age[id] = append(ended, id), info.ModTime()
	}
	slices.SortFunc(ended, func(a, b string) int { return age[a].Compare(age[b]) })
	for len(ended) > maxJournals {
		if err := d.removeJournal(ended[0]); err != nil {
			return err
		}
		ended = ended[1:]
	}
	return nil
}

// takeJournal takes in the journal of a build that has ended, or whose process has.
func (d *Dir) takeJournal(id string) error {
	lock, err := filelock.Open(d.root, journalLock(id), 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if ok, err := lock.Try(filelock.Alone); err != nil || !ok {
		return err
	}
	b, events, err := d.readJournalOf(id)
	switch {
	case errors.Is(err, ErrNewer):
		return err
	case err != nil && b.ID != id:
		// Its first line was not written: the process was killed, or the disk is full.
	default:
		if b.IsRunning() {
			b.State, b.Position, b.Ended = Interrupted, 0, lastTime(b, events)
		}
		b.PID = 0
		if err := d.update(func(tx *bolt.Tx) error { return put(tx, b, events) }); err != nil {
			return err
		}
	}
	return d.removeJournal(id)
}

// removeJournal removes a journal and its lock, for which nobody waits.
func (d *Dir) removeJournal(id string) error {
	return errors.Join(d.remove(journalFile(id)), d.remove(journalLock(id)))
}

func (d *Dir) readJournalOf(id string) (Build, []pinion.Event, error) {
	f, err := d.root.Open(journalFile(id))
	if err != nil {
		return Build{}, nil, err
	}
	defer f.Close()
	return readJournal(f)
}

func lastTime(b Build, events []pinion.Event) time.Time {
	if len(events) == 0 {
		return b.Started
	}
	return events[len(events)-1].Time
}

func (d *Dir) remove(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
