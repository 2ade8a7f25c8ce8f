package history

import (
	"bytes"
	"encoding/json"

	bolt "go.etcd.io/bbolt"

	"git.moleculesai.app/molecule-ai/pinion"
)

// put adds a build, or replaces the one with its ID.
func put(tx *bolt.Tx, b Build, events []pinion.Event) error {
	value, err := json.Marshal(b)
	if err != nil {
		return err
	}
	log, err := pack(events)
	if err != nil {
		return err
	}
	key := keyOf(b.Started, b.ID)
	if err := drop(tx, key); err != nil {
		return err
	}
	size := int64(len(value) + len(log))
	for _, entry := range []struct{ bucket, key, value []byte }{
		{bucketIndex, key, tuple(b)}, {bucketBuilds, key, value}, {bucketEvents, key, log},
		{bucketIDs, []byte(b.ID), key},
	} {
		if err := tx.Bucket(entry.bucket).Put(entry.key, entry.value); err != nil {
			return err
		}
	}
	if err := putGroups(tx, tuple(b), key); err != nil {
		return err
	}
	return account(tx, 1, size, b.Hits > 0)
}

// drop removes the build with that key, if there is one.
func drop(tx *bolt.Tx, key []byte) error {
	size := int64(len(tx.Bucket(bucketBuilds).Get(key)) + len(tx.Bucket(bucketEvents).Get(key)))
	if size == 0 {
		return nil
	}
	tuple := bytes.Clone(tx.Bucket(bucketIndex).Get(key))
	if err := dropGroups(tx, tuple, key); err != nil {
		return err
	}
	for _, entry := range []struct{ bucket, key []byte }{
		{bucketIndex, key}, {bucketBuilds, key}, {bucketEvents, key}, {bucketIDs, key[8:]},
	} {
		if err := tx.Bucket(entry.bucket).Delete(entry.key); err != nil {
			return err
		}
	}
	return account(tx, -1, -size, isHitTuple(tuple))
}

// account adds to the count and the size of all builds.
func account(tx *bolt.Tx, count, size int64, isHit bool) error {
	var hits int64
	if isHit {
		hits = count
	}
	meta := tx.Bucket(bucketMeta)
	for _, sum := range []struct {
		key  []byte
		more int64
	}{{metaCount, count}, {metaHit, hits}, {metaBytes, size}} {
		before, err := number(meta, sum.key)
		if err != nil {
			return err
		}
		if err := putNumber(meta, sum.key, before+sum.more); err != nil {
			return err
		}
	}
	return nil
}

// trim removes the oldest builds beyond the limits, and the oldest hits beyond half of the count,
// so that hits do not push builds out.
func (d *Dir) trim() error {
	excess := false
	if _, err := d.view(func(tx *bolt.Tx) error {
		hits, err := d.excessHits(tx)
		if err != nil {
			return err
		}
		beyond, err := d.beyond(tx)
		excess = beyond || hits > 0
		return err
	}); err != nil || !excess {
		return err
	}
	return d.update(func(tx *bolt.Tx) error {
		if err := d.dropHits(tx); err != nil {
			return err
		}
		for {
			if excess, err := d.beyond(tx); err != nil || !excess {
				return err
			}
			key, _ := tx.Bucket(bucketIndex).Cursor().First()
			if err := drop(tx, bytes.Clone(key)); err != nil {
				return err
			}
		}
	})
}

// excessHits returns how many hits are beyond half of the count.
func (d *Dir) excessHits(tx *bolt.Tx) (int64, error) {
	hits, err := number(tx.Bucket(bucketMeta), metaHit)
	return hits - int64(d.limits.Count)/2, err
}

// dropHits removes the oldest hits that are beyond their limit.
func (d *Dir) dropHits(tx *bolt.Tx) error {
	excess, err := d.excessHits(tx)
	var old [][]byte
	hits := groupOf(KindHit, "")
	c := tx.Bucket(bucketGroups).Cursor()
	for key, _ := c.Seek(hits); bytes.HasPrefix(key, hits) && int64(len(old)) < excess; {
		old = append(old, bytes.Clone(key[len(hits):]))
		key, _ = c.Next()
	}
	for _, key := range old {
		if err := drop(tx, key); err != nil {
			return err
		}
	}
	return err
}

// beyond reports whether the oldest build must go.
func (d *Dir) beyond(tx *bolt.Tx) (bool, error) {
	oldest, _ := tx.Bucket(bucketIndex).Cursor().First()
	if oldest == nil {
		return false, nil
	}
	meta := tx.Bucket(bucketMeta)
	count, err := number(meta, metaCount)
	if err != nil {
		return false, err
	}
	total, err := number(meta, metaBytes)
	return count > int64(d.limits.Count) || total > d.limits.Bytes ||
		d.now().Sub(startOf(oldest)) > d.limits.Age, err
}
