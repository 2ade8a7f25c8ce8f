package history

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Files of hits on their way into the database.
const (
	oldHits    = "hits.old.jsonl"
	takingHits = "hits.taking.jsonl"
)

// addHits appends hits to the file of all processes. If nobody has taken hits in for long, the
// older half of them goes.
func (d *Dir) addHits(ctx context.Context, hits []*Build, wait time.Duration) error {
	var text []byte
	for _, b := range hits {
		one, err := json.Marshal(line{Version: journalVersion, Build: b})
		if err != nil {
			return err
		}
		text = append(append(text, one...), '\n')
	}
	return d.locked(ctx, lockHits, wait, func() error {
		f, err := d.root.OpenFile(fileHits, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err == nil {
			_, err = f.Write(text)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if info.Size() > d.limits.HitBytes/2 {
			return d.root.Rename(fileHits, oldHits)
		}
		return nil
	})
}

// takeHits takes in a file of hits. It is renamed first, so that processes write into a new one.
func (d *Dir) takeHits(ctx context.Context, name string) error {
	err := d.locked(ctx, lockHits, lockWait, func() error {
		if _, err := d.root.Stat(takingHits); err == nil {
			return nil // a process was killed while it took that one in
		}
		return d.root.Rename(name, takingHits)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := d.root.ReadFile(takingHits)
	if err != nil {
		return err
	}
	if err := d.update(func(tx *bolt.Tx) error { return putHits(tx, text) }); err != nil {
		return err
	}
	return d.remove(takingHits)
}

// putHits adds the hits of a file, unless they were added before.
func putHits(tx *bolt.Tx, text []byte) error {
	meta, sum := tx.Bucket(bucketMeta), sha256.Sum256(text)
	if bytes.Equal(meta.Get(metaHits), sum[:]) {
		return nil
	}
	if err := forgetHits(tx); err != nil {
		return err
	}
	var failed error
	err := readLines(bytes.NewReader(text), func([]byte) bool { return true }, func(l line) {
		if l.Build == nil || l.Version > journalVersion || failed != nil {
			return
		}
		failed = putHit(tx, *l.Build)
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return meta.Put(metaHits, sum[:])
}

// putHit adds a hit to the others of its kind within the hour.
func putHit(tx *bolt.Tx, b Build) error {
	hits, key := tx.Bucket(bucketHits), hitKey(b)
	if at := hits.Get(key); at != nil {
		if before, err := get(tx, at); err == nil {
			before.Hits += b.Hits
			if b.Ended.After(before.Ended) {
				before.Ended, before.Image = b.Ended, b.Image
			}
			b = before
		}
	}
	if err := hits.Put(key, keyOf(b.Started, b.ID)); err != nil {
		return err
	}
	return put(tx, b, nil)
}

// forgetHits removes what was needed to count the hits of hours long ago together.
func forgetHits(tx *bolt.Tx) error {
	hits := tx.Bucket(bucketHits)
	newest, _ := hits.Cursor().Last()
	if newest == nil {
		return nil
	}
	end := keyOf(startOf(newest).Add(-24*time.Hour), "")
	var old [][]byte
	c := hits.Cursor()
	for key, _ := c.First(); key != nil && bytes.Compare(key, end) < 0; key, _ = c.Next() {
		old = append(old, bytes.Clone(key))
	}
	for _, key := range old {
		if err := hits.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// hitKey begins with the hour, so that the oldest come first.
func hitKey(b Build) []byte {
	image := ""
	if b.Image != nil {
		image = b.Image.ID
	}
	hour := keyOf(b.Started.Truncate(time.Hour), "")
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{b.Name, b.Reference, image, b.AskedBy,
		b.Command}))
	return append(hour, sum[:]...)
}
