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

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// containerdName is the annotation that containerd's importer, and with it `docker load` and `ctr
// image import`, takes an image's full name from (containerd, core/images/annotations.go). Others
// go by ocispec.AnnotationRefName.
const containerdName = "io.containerd.image.name"

// layoutIndex is index.json. What is not known here is kept as it was written.
type layoutIndex struct {
	fields  map[string]json.RawMessage // all but the entries
	entries []layoutEntry
}

// layoutEntry is one name of one image, or an image without a name.
type layoutEntry struct {
	ocispec.Descriptor
	raw json.RawMessage
}

func (e layoutEntry) name() string { return e.Annotations[ocispec.AnnotationRefName] }

func (l *Layout) version() (string, error) {
	body, err := l.readBounded(ocispec.ImageLayoutFile)
	if err != nil {
		return "", err
	}
	var file ocispec.ImageLayout
	if err := json.Unmarshal(body, &file); err != nil {
		return "", fmt.Errorf("%s: %w", ocispec.ImageLayoutFile, err)
	}
	return file.Version, nil
}

func (l *Layout) readBounded(name string) ([]byte, error) {
	f, err := l.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxDocument)
	}
	return body, err
}

// index reads index.json. A folder without one has no images.
func (l *Layout) index() (layoutIndex, error) {
	body, err := l.readBounded(ocispec.ImageIndexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return layoutIndex{fields: map[string]json.RawMessage{
			"schemaVersion": json.RawMessage("2"),
			"mediaType":     json.RawMessage(`"` + ocispec.MediaTypeImageIndex + `"`),
		}}, nil
	}
	if err != nil {
		return layoutIndex{}, err
	}
	x, err := parseIndex(body)
	if err != nil {
		return x, errdef.In(errdef.LayoutBroken, l.path,
			fmt.Errorf("%w: %s of %s: %w", ErrNoLayout, ocispec.ImageIndexFile, l.path, err))
	}
	return x, nil
}

func parseIndex(body []byte) (x layoutIndex, err error) {
	if err := json.Unmarshal(body, &x.fields); err != nil {
		return x, err
	}
	var known ocispec.Index
	if err := json.Unmarshal(body, &known); err != nil {
		return x, err
	}
	if known.SchemaVersion != 2 {
		return x, fmt.Errorf("schema version %d is not known", known.SchemaVersion)
	}
	var raw []json.RawMessage
	if list, ok := x.fields["manifests"]; ok {
		if err := json.Unmarshal(list, &raw); err != nil {
			return x, err
		}
	}
	// encoding/json takes "Manifests" for the same field; others do not.
	if len(raw) != len(known.Manifests) {
		return x, errors.New("it has its manifests under another name")
	}
	delete(x.fields, "manifests")
	for i, d := range known.Manifests {
		x.entries = append(x.entries, layoutEntry{d, raw[i]})
	}
	return x, nil
}

func (x *layoutIndex) encode() ([]byte, error) {
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

// named is the entry of a name, or of an image ID. Of several the last one counts, as with tags.
func (x *layoutIndex) named(ref string) (layoutEntry, bool) {
	id, notID := digest.Parse(ref)
	for _, e := range slices.Backward(x.entries) {
		if notID == nil && e.Digest == id || notID != nil && ref != "" && e.name() == ref {
			return e, true
		}
	}
	return layoutEntry{}, false
}

// names are all names of an image.
func (x *layoutIndex) names(id digest.Digest) (names []string) {
	for _, e := range x.entries {
		if e.Digest == id && e.name() != "" && !slices.Contains(names, e.name()) {
			names = append(names, e.name())
		}
	}
	return names
}

// drop takes a name away, and says whether it was there.
func (x *layoutIndex) drop(ref string) bool {
	before := len(x.entries)
	x.entries = slices.DeleteFunc(x.entries, func(e layoutEntry) bool { return e.name() == ref })
	return len(x.entries) < before
}

// put makes a name mean the image, whatever it meant before.
func (x *layoutIndex) put(ref string, d ocispec.Descriptor) error {
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
	x.entries = append(x.entries, layoutEntry{d, raw})
	return nil
}

// parseTagged takes a name with a tag, and nothing that an engine would take for an ID.
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

// update changes the index. What no entry leads to any more may be swept afterwards.
func (l *Layout) update(ctx context.Context, change func(*layoutIndex) error) error {
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
	for _, e := range before {
		if slices.ContainsFunc(x.entries, func(f layoutEntry) bool {
			return f.Digest == e.Digest
		}) {
			continue
		}
		if err := l.markImage(e.Descriptor); err != nil {
			return err
		}
	}
	return l.writeIndex(&x)
}

func (l *Layout) writeIndex(x *layoutIndex) error {
	body, err := x.encode()
	if err != nil {
		return err
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
	return put(ocispec.ImageIndexFile, body)
}
