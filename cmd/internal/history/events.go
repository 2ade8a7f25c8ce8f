package history

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"time"

	bolt "go.etcd.io/bbolt"

	"git.moleculesai.app/molecule-ai/pinion"
)

// followPause is the time between two looks at the journal of another process.
const followPause = 200 * time.Millisecond

// Events yields the events of a build, by its whole ID. With follow it yields those to come as
// well, until the build or ctx ends. A hit has none.
func (d *Dir) Events(
	ctx context.Context, id string, follow bool,
) iter.Seq2[pinion.Event, error] {
	return func(yield func(pinion.Event, error) bool) {
		f, err := d.root.Open(journalFile(id))
		if errors.Is(err, fs.ErrNotExist) {
			d.yieldStored(id, yield)
			return
		}
		if err != nil {
			yield(pinion.Event{}, err)
			return
		}
		defer f.Close()
		for r := (&tail{r: bufio.NewReader(f)}); ; {
			running := follow && d.isLocked(id)
			more := r.each(func(e pinion.Event) bool { return yield(e, nil) })
			if !more || !running {
				return
			}
			select {
			case <-time.After(followPause):
			case <-ctx.Done():
				return
			}
		}
	}
}

// tail reads the events of a journal that grows.
type tail struct {
	r    *bufio.Reader
	part []byte // of a line that is not whole
}

// each yields the events up to the end of the file, and reports whether all were wanted.
func (t *tail) each(yield func(pinion.Event) bool) bool {
	for {
		text, err := t.r.ReadBytes('\n')
		t.part = append(t.part, text...)
		if err != nil {
			return true
		}
		var l line
		if json.Unmarshal(t.part, &l) == nil && l.Event != nil && !yield(*l.Event) {
			return false
		}
		t.part = t.part[:0]
	}
}

// yieldStored yields the events of a build in the database.
func (d *Dir) yieldStored(id string, yield func(pinion.Event, error) bool) {
	var packed []byte
	found, err := d.view(func(tx *bolt.Tx) error {
		key := tx.Bucket(bucketIDs).Get([]byte(id))
		if key == nil {
			return ErrNotFound
		}
		packed = bytes.Clone(tx.Bucket(bucketEvents).Get(key))
		return nil
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	if err == nil && len(packed) > 0 {
		err = unpack(packed, func(e pinion.Event) bool { return yield(e, nil) })
	}
	if err != nil {
		yield(pinion.Event{}, err)
	}
}

// pack returns the events as lines of JSON, compressed.
func pack(events []pinion.Event) ([]byte, error) {
	if len(events) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	e := json.NewEncoder(w)
	for _, event := range events {
		if err := e.Encode(event); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unpack yields what pack has packed.
func unpack(packed []byte, yield func(pinion.Event) bool) error {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	for dec := json.NewDecoder(r); ; {
		var e pinion.Event
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if !yield(e) {
			return nil
		}
	}
}
