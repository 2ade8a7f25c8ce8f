package history

import (
	"context"

	bolt "go.etcd.io/bbolt"
)

// Size is how much the history holds.
type Size struct {
	// Builds include hits. Those that no server or command has taken in yet do not count.
	Builds int64
	// Bytes of receipts and compressed logs.
	Bytes int64
}

// Size returns how much the history holds. It reads two numbers.
func (d *Dir) Size(context.Context) (s Size, err error) {
	_, err = d.view(func(tx *bolt.Tx) (err error) {
		meta := tx.Bucket(bucketMeta)
		if s.Builds, err = number(meta, metaCount); err == nil {
			s.Bytes, err = number(meta, metaBytes)
		}
		return err
	})
	return s, err
}
