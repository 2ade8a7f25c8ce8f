package cache

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotationTemplate holds the template's name in an entry's descriptor.
const annotationTemplate = "app.moleculesai.pinion.template"

// maxManifest bounds what is read of an index or a manifest, in bytes.
const maxManifest = 16 << 20

// index has the entries, the newest first. On the disk it is the layout's index.json, so that any
// tool for OCI layouts can read it. BuildKit's own writer of that file is not used, because it
// writes in place.
type index []ocispecs.Descriptor

func revisionOf(e ocispecs.Descriptor) string { return e.Annotations[ocispecs.AnnotationRefName] }

func savedAt(e ocispecs.Descriptor) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, e.Annotations[ocispecs.AnnotationCreated])
	return at
}

func (x index) has(revision string) bool {
	return slices.ContainsFunc(x, func(e ocispecs.Descriptor) bool {
		return revisionOf(e) == revision
	})
}

func (x index) without(revision string) index {
	return slices.DeleteFunc(slices.Clone(x), func(e ocispecs.Descriptor) bool {
		return revisionOf(e) == revision
	})
}

// from returns the entries with that of the revision first.
func (x index) from(revision string) index {
	sorted := slices.Clone(x)
	slices.SortStableFunc(sorted, func(a, b ocispecs.Descriptor) int {
		rank := func(e ocispecs.Descriptor) int {
			if revisionOf(e) == revision {
				return 0
			}
			return 1
		}
		return cmp.Compare(rank(a), rank(b))
	})
	return sorted
}

func (x index) with(e ocispecs.Descriptor, name, revision string, at time.Time) index {
	e.Annotations = map[string]string{
		ocispecs.AnnotationRefName: revision,
		ocispecs.AnnotationCreated: at.Format(time.RFC3339Nano), annotationTemplate: name,
	}
	return append(index{e}, x.without(revision)...)
}

// readIndex returns no entries if there is no index or a malformed one.
func (c *BuildCache) readIndex() (index, error) {
	data, err := c.dir.readManifest(path.Join(c.name, ocispecs.ImageIndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, c.fail("read", err)
	}
	var doc ocispecs.Index
	if json.Unmarshal(data, &doc) != nil {
		return nil, nil
	}
	return doc.Manifests, nil
}

func (c *BuildCache) writeIndex(x index) error {
	doc := ocispecs.Index{MediaType: ocispecs.MediaTypeImageIndex, Manifests: append(index{}, x...)}
	doc.SchemaVersion = 2
	for _, f := range []struct {
		name string
		doc  any
	}{
		{ocispecs.ImageLayoutFile, ocispecs.ImageLayout{Version: ocispecs.ImageLayoutVersion}},
		{ocispecs.ImageIndexFile, doc},
	} {
		data, err := json.Marshal(f.doc)
		if err != nil {
			return c.fail("save", err)
		}
		if err := c.dir.replace(path.Join(c.name, f.name), data); err != nil {
			return c.fail("save", err)
		}
	}
	return nil
}

// errDamaged means that a blob is missing or damaged. A failure of the disk is no damage.
var errDamaged = errors.New("damaged")

// contents returns the blobs of an entry and their sizes in bytes, the manifest included. If one of
// them is missing or has another size, the error says which and is errDamaged.
func (c *BuildCache) contents(e ocispecs.Descriptor) (map[digest.Digest]int64, error) {
	blobs := map[digest.Digest]int64{}
	if err := c.check(e, blobs); err != nil {
		return nil, err
	}
	data, err := c.dir.readManifest(c.blob(e.Digest))
	if err != nil {
		return nil, err
	}
	// BuildKit writes a manifest; older ones, and some registries' formats, an index whose
	// manifests are layers.
	var doc struct {
		Config    *ocispecs.Descriptor  `json:"config"`
		Layers    []ocispecs.Descriptor `json:"layers"`
		Manifests []ocispecs.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("blob %s is %w: %w", e.Digest, errDamaged, err)
	}
	parts := slices.Concat(doc.Layers, doc.Manifests)
	if doc.Config != nil {
		parts = append(parts, *doc.Config)
	}
	for _, p := range parts {
		if err := c.check(p, blobs); err != nil {
			return nil, err
		}
	}
	return blobs, nil
}

// check notes the size of a blob. If the blob is missing or has another size, the error is
// errDamaged.
func (c *BuildCache) check(d ocispecs.Descriptor, into map[digest.Digest]int64) error {
	if err := d.Digest.Validate(); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	info, err := c.dir.root.Lstat(c.blob(d.Digest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: blob %s is missing", errDamaged, d.Digest)
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Size() != d.Size:
		return fmt.Errorf("blob %s is %w: it has %d bytes, not %d",
			d.Digest, errDamaged, info.Size(), d.Size)
	}
	into[d.Digest] = d.Size
	return nil
}

func (c *BuildCache) blob(d digest.Digest) string {
	return path.Join(c.name, ocispecs.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// readManifest reads an index or a manifest.
func (d *Dir) readManifest(name string) ([]byte, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	// Opening a pipe would block.
	if !info.Mode().IsRegular() || info.Size() > maxManifest {
		return nil, fmt.Errorf("%s is %w: not a file of a cache", name, errDamaged)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxManifest))
}
