package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// looseDir lists the blobs that may be unreferenced, one empty file each: blobs that are being
// written, and those of images that have lost their last name. Only they are ever removed, so blobs
// that another program writes into the folder are safe. A blob that another program found there and
// relies on is safe once the index leads to it.
const looseDir = privateDir + "/loose"

func loosePath(d digest.Digest) string {
	return path.Join(looseDir, d.Algorithm().String()+"-"+d.Encoded())
}

func (l *Layout) markLoose(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return err
	}
	if err := l.root.MkdirAll(looseDir, 0o755); err != nil {
		return err
	}
	return l.root.WriteFile(loosePath(d), nil, 0o644)
}

// markImage marks all blobs of an image that is about to lose its last entry.
func (l *Layout) markImage(d ocispec.Descriptor) error {
	blobs := map[digest.Digest]bool{}
	if err := l.reach(d, blobs); err != nil {
		// The blobs are unknown, so they stay. The entry can go.
		blobs = map[digest.Digest]bool{}
	}
	for b := range blobs {
		if err := l.markLoose(b); err != nil {
			return err
		}
	}
	return nil
}

// links are the fields with which any document may refer to others (image-spec, manifest.md and
// image-index.md).
type links struct {
	Config    *ocispec.Descriptor
	Layers    []ocispec.Descriptor
	Manifests []ocispec.Descriptor
	Subject   *ocispec.Descriptor
}

// reach collects the blobs that a descriptor leads to, itself included.
func (l *Layout) reach(d ocispec.Descriptor, found map[digest.Digest]bool) error {
	if found[d.Digest] || d.Digest.Validate() != nil {
		return nil // a descriptor without a digest leads nowhere
	}
	found[d.Digest] = true
	switch d.MediaType {
	case ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, dockerManifestType,
		dockerListType:
	default:
		return nil
	}
	body, err := l.readBounded(imagestore.BlobPath(d.Digest), maxDocument)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var next links
	if err := json.Unmarshal(body, &next); err != nil {
		return fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	for _, one := range []*ocispec.Descriptor{next.Config, next.Subject} {
		if one != nil {
			next.Manifests = append(next.Manifests, *one)
		}
	}
	for _, n := range append(next.Manifests, next.Layers...) {
		if err := l.reach(n, found); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes the loose blobs that nothing leads to, and files that killed writers left. It is
// best effort: if a writer is at work or a file cannot be read, the blobs stay on the list.
func (l *Layout) sweep() {
	if l.empty(looseDir) && l.empty(tempDir) {
		return
	}
	alone, err := l.tryLock(blobsLock)
	if alone == nil || err != nil {
		return
	}
	defer alone()
	still, err := l.tryLock(indexLock)
	if still == nil || err != nil {
		return
	}
	defer still()
	for _, e := range l.list(tempDir) {
		_ = l.root.Remove(path.Join(tempDir, e.Name()))
	}
	x, err := l.index()
	if err != nil {
		return
	}
	used := map[digest.Digest]bool{}
	for _, e := range x.entries {
		if l.reach(e.Descriptor, used) != nil {
			return
		}
	}
	for _, e := range l.list(looseDir) {
		d := digest.Digest(strings.Replace(e.Name(), "-", ":", 1))
		if d.Validate() == nil && !used[d] &&
			ignoreMissing(l.root.Remove(imagestore.BlobPath(d))) != nil {
			continue
		}
		_ = l.root.Remove(path.Join(looseDir, e.Name()))
	}
}

func (l *Layout) empty(dir string) bool { return len(l.list(dir)) == 0 }

func (l *Layout) list(dir string) []fs.DirEntry {
	entries, _ := fs.ReadDir(l.root.FS(), dir) // a folder that is not there is empty
	return entries
}
