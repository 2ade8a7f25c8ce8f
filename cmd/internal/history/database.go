package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The buckets. A key of a build is the time of its start in nanoseconds, 8 bytes big-endian, and
// its ID, so that the newest is last.
var (
	bucketMeta   = []byte("meta")
	bucketIndex  = []byte("index")  // key of a build: what filters compare, see tuple
	bucketBuilds = []byte("builds") // key of a build: Build in JSON
	bucketEvents = []byte("events") // key of a build: events, one JSON object a line, with gzip
	bucketIDs    = []byte("ids")    // ID: key of a build
	bucketHits   = []byte("hits")   // what hits have in common, see hitKey: key of a build
	bucketGroups = []byte("groups") // group and key of a build, see groupsOf: nothing
)

// Keys of the bucket meta.
var (
	metaSchema = []byte("schema")      // number of migrations that were done, decimal
	metaCount  = []byte("count")       // number of builds, decimal
	metaHit    = []byte("hit-entries") // number of builds that are hits, decimal
	metaBytes  = []byte("bytes")       // total size of builds and events, decimal
	metaHits   = []byte("hits")        // digest of the file of hits that was taken in last
)

// migrations lead from one schema to the next, each in one transaction.
var migrations = []func(*bolt.Tx) error{
	func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketIndex, bucketBuilds, bucketEvents, bucketIDs,
			bucketHits} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	},
	func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(bucketGroups); err != nil {
			return err
		}
		return tx.Bucket(bucketIndex).ForEach(func(key, value []byte) error {
			return putGroups(tx, value, key)
		})
	},
}

// update changes the database. One that is broken is set aside, and a new one begun.
func (d *Dir) update(f func(*bolt.Tx) error) error {
	before, _ := d.root.Stat(fileDatabase) // nil if there is none
	err := d.change(f)
	if !errors.Is(err, errBroken) {
		return err
	}
	if err := d.setAside(before); err != nil {
		return err
	}
	return d.change(f)
}

// setAside renames a broken database, unless another process has replaced it.
func (d *Dir) setAside(broken fs.FileInfo) error {
	if now, err := d.root.Stat(fileDatabase); err != nil || !os.SameFile(now, broken) {
		return nil
	}
	return d.root.Rename(fileDatabase, fileBroken)
}

func (d *Dir) change(f func(*bolt.Tx) error) error {
	return d.open(false, func(db *bolt.DB) error {
		return db.Update(func(tx *bolt.Tx) error {
			if err := migrate(tx, migrations); err != nil {
				return err
			}
			return f(tx)
		})
	})
}

// view reads the database. found is false if there is none.
func (d *Dir) view(f func(*bolt.Tx) error) (found bool, err error) {
	before, err := d.root.Stat(fileDatabase)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	read := func() error {
		return d.open(true, func(db *bolt.DB) error {
			return db.View(func(tx *bolt.Tx) error {
				switch n, err := schemaOf(tx); {
				case err != nil:
					return err
				case n > len(migrations):
					return ErrNewer
				case n < len(migrations):
					return errOlder
				}
				return f(tx)
			})
		})
	}
	switch err = read(); {
	case errors.Is(err, errOlder):
		if err = d.update(func(*bolt.Tx) error { return nil }); err == nil {
			err = read()
		}
	case errors.Is(err, errBroken):
		return false, d.setAside(before)
	}
	return true, err
}

// open opens the database for the time of f, since the lock of bbolt excludes other processes.
func (d *Dir) open(readOnly bool, f func(*bolt.DB) error) error {
	options := *bolt.DefaultOptions
	options.ReadOnly, options.Timeout = readOnly, lockWait
	var db *bolt.DB
	err := guard(func() (err error) {
		db, err = bolt.Open(filepath.Join(d.Path(), fileDatabase), 0o600, &options)
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum),
		errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w", errBroken, err)
	case err != nil && !errors.Is(err, bolterrors.ErrTimeout) && d.isTooShort():
		return fmt.Errorf("%w: %w", errBroken, err)
	case err != nil:
		return err
	}
	return errors.Join(guard(func() error { return f(db) }), guard(db.Close))
}

// isTooShort reports whether the file lacks the two pages that each database begins with, which a
// full disk leaves.
func (d *Dir) isTooShort() bool {
	info, err := d.root.Stat(fileDatabase)
	return err == nil && info.Size() < 2*int64(os.Getpagesize())
}

// guard turns a panic into an error. bbolt maps the file into memory: a damaged one makes it panic,
// or fault where the file is shorter than it says.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errBroken, r)
		}
	}()
	return f()
}

// migrate brings the database to the schema of this version.
func migrate(tx *bolt.Tx, steps []func(*bolt.Tx) error) error {
	n, err := schemaOf(tx)
	if err != nil {
		return err
	}
	if n > len(steps) {
		return ErrNewer
	}
	if n == len(steps) {
		return nil
	}
	for _, step := range steps[n:] {
		if err := step(tx); err != nil {
			return err
		}
	}
	meta, err := tx.CreateBucketIfNotExists(bucketMeta)
	if err != nil {
		return err
	}
	return putNumber(meta, metaSchema, int64(len(steps)))
}

func schemaOf(tx *bolt.Tx) (int, error) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return 0, nil
	}
	n, err := number(meta, metaSchema)
	return int(n), err
}

func number(b *bolt.Bucket, key []byte) (n int64, err error) {
	text := b.Get(key)
	if text == nil {
		return 0, nil
	}
	if _, err := fmt.Sscan(string(text), &n); err != nil {
		return 0, fmt.Errorf("%w: %s: %w", errBroken, key, err)
	}
	return n, nil
}

func putNumber(b *bolt.Bucket, key []byte, n int64) error {
	return b.Put(key, fmt.Append(nil, n))
}

// keyOf returns the key of a build.
func keyOf(started time.Time, id string) []byte {
	key := binary.BigEndian.AppendUint64(nil, uint64(started.UnixNano()))
	return append(key, id...)
}

// startOf returns the time of the build with that key.
func startOf(key []byte) time.Time {
	if len(key) < 8 {
		return time.Time{}
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(key))) //nolint:gosec // from keyOf
}
