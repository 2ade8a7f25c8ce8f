package imagestore

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// Receive brings an image into the folder under the reference, and writes only the blobs that are
// not there. Nothing that was promised needs to be known for that, so platform and given are not
// looked at. onBytes hears of every byte of a layer that is written. Errors are *Error; the image
// has no name then.
func (l *Layout) Receive(ctx context.Context, ref, _ string, src Source, _ []Given,
	onBytes func(int)) (Received, error) {
	var got Received
	err := l.bring(ctx, func() error {
		img, err := parseSource(src)
		if err != nil {
			return err
		}
		if err := l.putLayers(ctx, img, onBytes, &got); err != nil {
			return err
		}
		config := img.manifest.Config
		if err := l.putDocument(ctx, config.MediaType, config.Digest, img.Config); err != nil {
			return fmt.Errorf("config: %w", err)
		}
		if err := l.putDocument(ctx, img.Descriptor.MediaType, img.Descriptor.Digest,
			img.Manifest); err != nil {
			return fmt.Errorf("manifest: %w", err)
		}
		for _, doc := range img.Around {
			if err := l.putDocument(ctx, doc.MediaType, doc.Digest, doc.Data); err != nil {
				return fmt.Errorf("%s: %w", doc.MediaType, err)
			}
		}
		if err := l.name(ctx, map[string]ocispec.Descriptor{ref: plain(img.root())}); err != nil {
			return err
		}
		got.Name, got.Kind = ref, KindOCI
		got.Image, err = l.Inspect(ctx, ref)
		return err
	})
	if err != nil {
		return Received{}, l.fail("load", ref, err)
	}
	return got, nil
}

// bring runs what brings blobs in and then names them, safe from the sweep.
func (l *Layout) bring(ctx context.Context, put func() error) error {
	defer l.sweep()
	unlock, err := l.lock(ctx, blobsLock, filelock.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	err = put()
	if err != nil && ctx.Err() != nil {
		// A source that was cut off says so in words of its own.
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

func (l *Layout) putLayers(ctx context.Context, img parsed, onBytes func(int),
	got *Received) error {
	seen := map[digest.Digest]bool{}
	for _, layer := range img.manifest.Layers {
		switch {
		case seen[layer.Digest]:
			continue
		case l.hasBlob(layer) == nil:
			got.Reused++
		default:
			if err := l.putLayer(ctx, img, layer, onBytes, got); err != nil {
				return fmt.Errorf("layer %s: %w", layer.Digest, err)
			}
			got.Sent++
		}
		seen[layer.Digest] = true
	}
	return nil
}

func (l *Layout) putLayer(ctx context.Context, img parsed, layer ocispec.Descriptor,
	onBytes func(int), got *Received) error {
	blob, err := img.Open(ctx, layer)
	if err != nil {
		return err
	}
	defer blob.Close()
	return l.putBlob(ctx, layer, io.TeeReader(blob, tally(func(n int) {
		got.Bytes += int64(n)
		onBytes(n)
	})))
}

// name has the index name images whose blobs are all there.
func (l *Layout) name(ctx context.Context, names map[string]ocispec.Descriptor) error {
	for _, d := range names {
		if _, err := l.image(d); err != nil {
			return err
		}
	}
	return l.update(ctx, func(x *layoutIndex) error {
		for ref, d := range names {
			if err := x.put(ref, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// plain is a descriptor without what an exporter noted on it.
func plain(d ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size,
		Platform: d.Platform}
}

type tally func(int)

func (t tally) Write(p []byte) (int, error) {
	t(len(p))
	return len(p), nil
}

// Load takes an archive that holds an OCI layout, as BuildKit and `docker save` have long written
// it, and names the images by the archive's annotation io.containerd.image.name. Of an archive that
// breaks off, or lacks a blob, nothing is named. Errors are *Error; if archive fails, they wrap
// what it returned.
func (l *Layout) Load(ctx context.Context, archive io.Reader, _ string) error {
	source := newSource(ctx, archive)
	err := l.bring(ctx, func() error { return l.unpack(ctx, source.body) })
	if broken := source.end(); broken != nil && ctx.Err() == nil {
		err = fmt.Errorf("reading the archive: %w", broken)
	}
	if err != nil {
		return l.fail("load", "", err)
	}
	return nil
}

// unpack puts the blobs of an archive into the folder. No other file of it goes anywhere.
func (l *Layout) unpack(ctx context.Context, archive io.Reader) error {
	var index layoutIndex
	for files := tar.NewReader(archive); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if h.Name == ocispec.ImageIndexFile {
			index, err = readArchiveIndex(files, h.Size)
		} else if d, ok := blobOf(h.Name); ok {
			err = l.putBlob(ctx, ocispec.Descriptor{Digest: d, Size: h.Size}, files)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	names := map[string]ocispec.Descriptor{}
	for _, e := range index.entries {
		if full := e.Annotations[containerdName]; full != "" {
			names[familiar(full)] = plain(e.Descriptor)
		}
	}
	if len(names) == 0 {
		return errors.New("the archive holds no OCI layout with a named image; use a builder of " +
			"BuildKit 0.12 or later")
	}
	return l.name(ctx, names)
}

func readArchiveIndex(r io.Reader, size int64) (layoutIndex, error) {
	if size > maxDocument {
		return layoutIndex{}, fmt.Errorf("larger than %d bytes", maxDocument)
	}
	var body bytes.Buffer
	if _, err := io.Copy(&body, r); err != nil {
		return layoutIndex{}, err
	}
	return parseIndex(body.Bytes())
}

// blobOf reads a digest from a path of the form blobs/sha256/<hex>, and from no other.
func blobOf(name string) (digest.Digest, bool) {
	dir, hex := path.Split(name)
	algorithm, ok := strings.CutPrefix(path.Clean(dir), ocispec.ImageBlobsDir+"/")
	d := digest.NewDigestFromEncoded(digest.Algorithm(algorithm), hex)
	return d, ok && d.Validate() == nil && fs.ValidPath(name) && blobPath(d) == name
}

// familiar is a name as Docker prints it, which is the form that Pinion uses.
func familiar(full string) string {
	if named, err := parseTagged(full); err == nil {
		return reference.FamiliarString(named)
	}
	return full
}
