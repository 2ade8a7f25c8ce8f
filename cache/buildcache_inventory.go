package cache

import (
	"errors"
	"io/fs"
	"path"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// inventory has the entries of a line.
type inventory struct {
	cache   *BuildCache
	index   index                              // the undamaged entries, the newest first
	stay    index                              // those of them that a trimming leaves
	damaged bool                               // the index on the disk has damaged entries as well
	fixed   bool                               // a trimming leaves the line as it is
	blobs   map[string]map[digest.Digest]int64 // sizes in bytes by revision
	onDisk  int64                              // bytes of all files, unfinished ones included
}

// measure reads the index and the sizes of the blobs. Damaged entries are left out. If the disk
// fails, nothing is known of the line.
func (c *BuildCache) measure() (*inventory, error) {
	v := &inventory{cache: c, blobs: map[string]map[digest.Digest]int64{}}
	idx, err := c.readIndex()
	if err != nil {
		return nil, err
	}
	for _, e := range idx {
		blobs, err := c.contents(e)
		if errors.Is(err, errDamaged) {
			v.damaged = true
			continue
		}
		if err != nil {
			return nil, c.fail("read", err)
		}
		v.index = append(v.index, e)
		v.blobs[revisionOf(e)] = blobs
	}
	v.stay = v.index
	err = c.walk(func(_ string, info fs.FileInfo) error {
		v.onDisk += info.Size()
		return nil
	})
	return v, err
}

// walk visits the files of blobs, unfinished ones included.
func (c *BuildCache) walk(visit func(name string, info fs.FileInfo) error) error {
	for _, dir := range []string{ocispecs.ImageBlobsDir, "ingest"} {
		err := fs.WalkDir(c.dir.root.FS(), path.Join(c.name, dir),
			func(name string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return ignoreMissing(err)
				}
				info, err := e.Info()
				if err != nil {
					return ignoreMissing(err)
				}
				return visit(name, info)
			})
		if err != nil {
			return c.fail("read", err)
		}
	}
	return nil
}

func (v *inventory) entries(of index) (entries []Entry) {
	for _, e := range of {
		entries = append(entries, v.entry(e))
	}
	return entries
}

func (v *inventory) entry(e ocispecs.Descriptor) Entry {
	entry := Entry{Line: v.cache.line, Name: e.Annotations[annotationTemplate],
		Revision: revisionOf(e), SavedAt: savedAt(e)}
	for _, size := range v.blobs[entry.Revision] {
		entry.Size += size
	}
	return entry
}

// size returns the bytes of the blobs that entries name. A blob that several of them share counts
// once.
func (v *inventory) size(of index) (total int64) {
	for _, size := range v.blobFiles(of) {
		total += size
	}
	return total
}

// blobFiles returns the sizes of the blobs that entries name, by the names of their files.
func (v *inventory) blobFiles(of index) map[string]int64 {
	all := map[string]int64{}
	for _, e := range of {
		for d, size := range v.blobs[revisionOf(e)] {
			all[v.cache.blob(d)] = size
		}
	}
	return all
}

// dropped returns the entries that do not stay.
func (v *inventory) dropped() (dropped index) {
	for _, e := range v.index {
		if !v.stay.has(revisionOf(e)) {
			dropped = append(dropped, e)
		}
	}
	return dropped
}

// hasRemovals reports whether the line has entries that do not stay, or other files.
func (v *inventory) hasRemovals() bool {
	return v.damaged || len(v.stay) < len(v.index) || v.onDisk > v.size(v.stay)
}

// apply removes what the entries that stay do not name. It writes the index first, so that the
// index never names a blob that is gone. On a full disk it cannot, and then the blobs go first: an
// entry that lacks one is not offered. The caller holds both locks.
func (v *inventory) apply(stay index) error {
	written := v.writeIndex(stay)
	if err := v.removeOthers(stay); err != nil || written == nil {
		return err
	}
	return v.writeIndex(stay)
}

func (v *inventory) removeFolder() error {
	if err := v.cache.dir.root.RemoveAll(v.cache.name); err != nil {
		return v.cache.fail("remove", err)
	}
	return nil
}

// writeIndex writes the index if it is not on the disk.
func (v *inventory) writeIndex(stay index) error {
	if !v.damaged && len(stay) == len(v.index) {
		return nil
	}
	return v.cache.writeIndex(stay)
}

// removeOthers removes the files that the entries that stay do not name.
func (v *inventory) removeOthers(stay index) error {
	files := v.blobFiles(stay)
	err := v.cache.walk(func(name string, _ fs.FileInfo) error {
		if _, ok := files[name]; ok {
			return nil
		}
		return ignoreMissing(v.cache.dir.root.Remove(name))
	})
	if err != nil {
		return err
	}
	// The caller holds the save lock, so no process is writing the unfinished blobs.
	if err := v.cache.dir.root.RemoveAll(path.Join(v.cache.name, "ingest")); err != nil {
		return v.cache.fail("trim", err)
	}
	return nil
}
