package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// containerdName is the annotation with the full name of an image for containerd's importer, and so
// for `docker load` and `ctr image import` (containerd, core/images/annotations.go). Other programs
// use ocispec.AnnotationRefName.
const containerdName = "io.containerd.image.name"

// The bounds of index.json in bytes. A name takes about 360.
const (
	// maxIndex is the most that is read.
	maxIndex = 32 << 20
	// maxGrown is the most that is written, unless the index gets smaller. It is well below
	// maxIndex, so that names can be removed from an index to which none can be added.
	maxGrown = maxIndex / 4
)

var errTooManyNames = fmt.Errorf("%s would be larger than %d bytes", ocispec.ImageIndexFile,
	maxGrown)

// indexFile is the content of index.json. Unknown fields are kept as they were written.
type indexFile struct {
	fields  map[string]json.RawMessage // all but the entries
	entries []entry
	size    int // bytes on the disk
}

// entry is one name of one image, or an image without a name.
type entry struct {
	ocispec.Descriptor
	raw json.RawMessage
}

func (e entry) name() string { return e.Annotations[ocispec.AnnotationRefName] }

func (l *Layout) version() (string, error) {
	body, err := l.readBounded(ocispec.ImageLayoutFile, maxDocument)
	if err != nil {
		return "", err
	}
	var file ocispec.ImageLayout
	if err := json.Unmarshal(body, &file); err != nil {
		return "", fmt.Errorf("%s: %w", ocispec.ImageLayoutFile, err)
	}
	return file.Version, nil
}

func (l *Layout) readBounded(name string, most int64) ([]byte, error) {
	f, err := l.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(body)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return body, err
}

// index reads index.json. A folder without one has no images.
func (l *Layout) index() (indexFile, error) {
	body, err := l.readBounded(ocispec.ImageIndexFile, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return indexFile{fields: map[string]json.RawMessage{
			"schemaVersion": json.RawMessage("2"),
			"mediaType":     json.RawMessage(`"` + ocispec.MediaTypeImageIndex + `"`),
		}}, nil
	}
	if err != nil {
		return indexFile{}, err
	}
	x, err := parseIndex(body)
	x.size = len(body)
	if err != nil {
		return x, errdef.In(errdef.LayoutBroken, l.path,
			fmt.Errorf("%w: %s of %s: %w", ErrNoLayout, ocispec.ImageIndexFile, l.path, err))
	}
	return x, nil
}

func parseIndex(body []byte) (x indexFile, err error) {
	if err := json.Unmarshal(body, &x.fields); err != nil {
		return x, err
	}
	if version := string(x.fields["schemaVersion"]); version != "2" {
		return x, fmt.Errorf("schema version %q is not known", version)
	}
	var manifests []json.RawMessage
	if list, ok := x.fields["manifests"]; ok {
		if err := json.Unmarshal(list, &manifests); err != nil {
			return x, err
		}
	}
	delete(x.fields, "manifests")
	for name := range x.fields {
		// Some programs, and encoding/json, take this for the same field.
		if strings.EqualFold(name, "manifests") {
			return x, errors.New("it has its manifests under another name")
		}
	}
	x.entries = make([]entry, len(manifests))
	for i, raw := range manifests {
		x.entries[i].raw = raw
		if err := json.Unmarshal(raw, &x.entries[i].Descriptor); err != nil {
			return x, err
		}
	}
	return x, nil
}

func (x *indexFile) encode() ([]byte, error) {
	raw := make([]json.RawMessage, len(x.entries))
	for i, e := range x.entries {
		raw[i] = e.raw
	}
	entries, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	fields := maps.Clone(x.fields)
	fields["manifests"] = entries
	return json.Marshal(fields)
}

// find returns the entry of a name or of an image ID. If there are several, the last one counts, as
// with tags.
func (x *indexFile) find(ref string) (entry, bool) {
	id, notID := digest.Parse(ref)
	for _, e := range slices.Backward(x.entries) {
		if notID == nil && e.Digest == id || notID != nil && ref != "" && e.name() == ref {
			return e, true
		}
	}
	return entry{}, false
}

// names returns all names of an image.
func (x *indexFile) names(id digest.Digest) (names []string) {
	for _, e := range x.entries {
		if e.Digest == id && e.name() != "" && !slices.Contains(names, e.name()) {
			names = append(names, e.name())
		}
	}
	return names
}

// drop removes a name, and reports whether it was there.
func (x *indexFile) drop(ref string) bool {
	before := len(x.entries)
	x.entries = slices.DeleteFunc(x.entries, func(e entry) bool { return e.name() == ref })
	return len(x.entries) < before
}

// put makes a name mean the image, and replaces an earlier meaning.
func (x *indexFile) put(ref string, d ocispec.Descriptor) error {
	named, err := parseTagged(ref)
	if err != nil {
		return err
	}
	d.Annotations = maps.Clone(d.Annotations)
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations[ocispec.AnnotationRefName] = ref
	d.Annotations[containerdName] = named.String()
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	x.drop(ref)
	x.entries = append(x.entries, entry{d, raw})
	return nil
}

// parseTagged parses a name with a tag. It rejects a name that an engine would take for an ID.
func parseTagged(ref string) (reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil, err
	}
	tagged, ok := named.(reference.NamedTagged)
	if _, notID := digest.Parse(ref); !ok || notID == nil {
		return nil, fmt.Errorf("%q is not a name with a tag", ref)
	}
	return tagged, nil
}

// update changes the index. Blobs that no entry leads to any more may be swept afterwards.
func (l *Layout) update(ctx context.Context, change func(*indexFile) error) error {
	unlock, err := l.lock(ctx, indexLock, filelock.Alone)
	if err != nil {
		return err
	}
	defer unlock()
	x, err := l.index()
	if err != nil {
		return err
	}
	before := slices.Clone(x.entries)
	if err := change(&x); err != nil {
		return err
	}
	still := map[digest.Digest]bool{}
	for _, e := range x.entries {
		still[e.Digest] = true
	}
	for _, e := range before {
		if still[e.Digest] {
			continue
		}
		if err := l.markImage(e.Descriptor); err != nil {
			return err
		}
	}
	return l.writeIndex(&x)
}

func (l *Layout) writeIndex(x *indexFile) error {
	body, err := x.encode()
	if err != nil {
		return err
	}
	if len(body) > maxGrown && len(body) > x.size {
		return errTooManyNames
	}
	put := func(name string, body []byte) error {
		return l.writeFile(name, func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(body))
			return err
		})
	}
	if _, err := l.version(); errors.Is(err, fs.ErrNotExist) {
		if err := put(ocispec.ImageLayoutFile,
			fmt.Appendf(nil, `{"imageLayoutVersion":%q}`, ocispec.ImageLayoutVersion)); err != nil {
			return err
		}
	}
	if err := put(ocispec.ImageIndexFile, body); err != nil {
		return err
	}
	l.keepReserve(len(body))
	l.makeID()
	return nil
}
