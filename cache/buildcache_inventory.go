package cache

import (
	"io/fs"
	"path"
	"time"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// inventory has the entries of a line, those that stay and those that a removal drops.
type inventory struct {
	cache   *BuildCache
	index   index                              // the undamaged entries that stay, the newest first
	changed bool                               // index differs from that on the disk
	blobs   map[string]map[digest.Digest]int64 // sizes in bytes by revision
	dropped []Entry
	onDisk  int64 // bytes of all files, unfinished ones included
}

// measure reads the index and the sizes of the blobs. Damaged entries are left out.
func (c *BuildCache) measure() (*inventory, error) {
	v := &inventory{cache: c, blobs: map[string]map[digest.Digest]int64{}}
	idx, err := c.readIndex()
	if err != nil {
		return nil, err
	}
	for _, e := range idx {
		blobs, err := c.contents(e)
		if err != nil {
			v.changed = true
			continue
		}
		v.index = append(v.index, e)
		v.blobs[revisionOf(e)] = blobs
	}
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

func (v *inventory) entries() (entries []Entry) {
	for _, e := range v.index {
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

// size returns the bytes of the blobs that the entries name. A blob that several entries share
// counts once.
func (v *inventory) size() (total int64) {
	for _, size := range v.blobFiles() {
		total += size
	}
	return total
}

// blobFiles returns the sizes of the blobs that the entries name, by the names of their files.
func (v *inventory) blobFiles() map[string]int64 {
	all := map[string]int64{}
	for _, e := range v.index {
		for d, size := range v.blobs[revisionOf(e)] {
			all[v.cache.blob(d)] = size
		}
	}
	return all
}

// oldest returns when the oldest entry was saved. There must be one.
func (v *inventory) oldest() time.Time { return savedAt(v.index[len(v.index)-1]) }

// truncate drops all entries but the first n.
func (v *inventory) truncate(n int) {
	place := 0
	v.drop(func(Entry) bool {
		place++
		return place > n
	})
}

// drop drops the entries that a function chooses. It is called once for each, the newest first.
func (v *inventory) drop(chosen func(Entry) bool) {
	var stay index
	for _, e := range v.index {
		if entry := v.entry(e); chosen(entry) {
			v.dropped = append(v.dropped, entry)
			v.changed = true
		} else {
			stay = append(stay, e)
		}
	}
	v.index = stay
}

// apply removes what the entries do not name. It writes the index first, so that the index never
// names a blob that is gone. The caller holds both locks.
func (v *inventory) apply() error {
	if v.changed {
		if err := v.cache.writeIndex(v.index); err != nil {
			return err
		}
	}
	files := v.blobFiles()
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
