package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// Errors of this package, besides those of the system.
var (
	// ErrNotFound: there is no build with that ID.
	ErrNotFound = errors.New("no such build")
	// ErrAmbiguous: several builds have an ID that begins so.
	ErrAmbiguous = errors.New("several builds have an ID that begins so")
	// ErrNewer: a newer version of Pinion wrote the database.
	ErrNewer = errors.New("written by a newer version of pinion")
	// errOlder: an older version of Pinion wrote the database.
	errOlder = errors.New("written by an older version of pinion")
	// errBroken: the database cannot be read.
	errBroken = errors.New("the database of builds is broken")
)

// Names in the folder.
const (
	fileDatabase = "builds.db"
	fileBroken   = "builds.db.broken"
	fileHits     = "hits.jsonl"
	lockHits     = "hits.lock"
	lockTake     = "take.lock"
	dirJournals  = "journals"
)

// Limits bound what is kept. The oldest goes first.
type Limits struct {
	// Count of builds, with all hits of an hour of one image as one.
	Count int
	// Age since a build began.
	Age time.Duration
	// Bytes of receipts and compressed logs.
	Bytes int64
	// HitBytes bounds the hits that wait to be taken in, and JournalBytes the log of one build.
	HitBytes, JournalBytes int64
}

// DefaultLimits are the limits of [Open].
var DefaultLimits = Limits{Count: 20_000, Age: 90 * 24 * time.Hour, Bytes: 256 << 20,
	HitBytes: 4 << 20, JournalBytes: 8 << 20}

// Dir is the folder of a history. It is safe for concurrent use by goroutines and processes.
type Dir struct {
	root   *os.Root
	limits Limits
	now    func() time.Time
}

// Open opens the folder, and creates it with mode 0700 if it is missing.
func Open(folder string) (*Dir, error) { return open(folder, DefaultLimits) }

func open(folder string, l Limits) (*Dir, error) {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	return &Dir{root: root, limits: l, now: time.Now}, nil
}

// Path returns the folder's absolute path.
func (d *Dir) Path() string { return d.root.Name() }

// Close frees the folder.
func (d *Dir) Close() error { return d.root.Close() }

// Bounds of waits.
const (
	// hitWait is how long a hit of a command waits for others that write hits.
	hitWait = 50 * time.Millisecond
	// lockWait is for what nobody waits for.
	lockWait = 2 * time.Second
)

// locked runs f under a lock of the folder, for which it waits so long.
func (d *Dir) locked(
	ctx context.Context, name string, wait time.Duration, f func() error,
) error {
	lock, err := filelock.Open(d.root, name, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := lock.Wait(waiting, filelock.Alone, time.Millisecond); err != nil {
		return fmt.Errorf("lock %s: %w", filepath.Join(d.Path(), name), err)
	}
	return f()
}

// journals lists the IDs of builds whose journals were not taken in yet.
func (d *Dir) journals() (ids []string, err error) {
	entries, err := fs.ReadDir(d.root.FS(), dirJournals)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".jsonl"); ok {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// remove removes a file if it is there.
func (d *Dir) remove(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func journalFile(id string) string { return path.Join(dirJournals, id+".jsonl") }
func journalLock(id string) string { return path.Join(dirJournals, id+".lock") }
