package cache

import (
	"context"
	"errors"
	"io"
	"slices"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// Repair compares all blobs of the line with their digests. It removes blobs that differ, and the
// entries that name them. A builder that cannot read a cache does not say which blob is damaged,
// and the other methods compare sizes alone. The errors are ctx's, or *Error.
func (c *BuildCache) Repair(ctx context.Context) error {
	unlock, err := c.dir.lock(ctx, c.saveLock(), saveWait, filelock.Alone)
	if err != nil {
		return err
	}
	defer unlock()
	if there, err := c.exists(); err != nil || !there {
		return err
	}
	idx, err := c.readIndex()
	if err != nil {
		return err
	}
	good, sound, err := c.verify(ctx, idx)
	if err != nil {
		return err
	}
	sameDigest := func(a, b ocispecs.Descriptor) bool { return a.Digest == b.Digest }
	if !slices.EqualFunc(good, idx, sameDigest) {
		if err := c.writeIndex(good); err != nil {
			return err
		}
	}
	for d, ok := range sound {
		if ok {
			continue
		}
		// This does not wait for readers: they cannot use the blob, and the next Save would take
		// it for a good one.
		if err := ignoreMissing(c.dir.root.Remove(c.blob(d))); err != nil {
			return c.fail("repair", err)
		}
	}
	_, err = c.tidy(ctx)
	return err
}

// verify compares the blobs of all entries with their digests. It returns the entries without
// damage, and by blob whether it is sound.
func (c *BuildCache) verify(
	ctx context.Context, idx index,
) (good index, sound map[digest.Digest]bool, err error) {
	sound = map[digest.Digest]bool{}
	for _, e := range idx {
		blobs, err := c.contents(e)
		if errors.Is(err, errDamaged) {
			continue
		}
		if err != nil {
			return nil, nil, c.fail("repair", err)
		}
		whole := true
		for d := range blobs {
			if err := c.compare(ctx, d, sound); err != nil {
				return nil, nil, err
			}
			whole = whole && sound[d]
		}
		if whole {
			good = append(good, e)
		}
	}
	return good, sound, nil
}

// compare notes in sound whether a blob has the content of its digest.
func (c *BuildCache) compare(
	ctx context.Context, d digest.Digest, sound map[digest.Digest]bool,
) error {
	if _, done := sound[d]; done {
		return nil
	}
	f, err := c.dir.root.Open(c.blob(d))
	if err != nil {
		return c.fail("repair", err)
	}
	defer f.Close()
	verifier := d.Verifier()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := io.CopyN(verifier, f, 1<<24)
		if errors.Is(err, io.EOF) {
			sound[d] = verifier.Verified()
			return nil
		}
		if err != nil {
			return c.fail("repair", err)
		}
	}
}
