package layout

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

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Receive brings an image into the folder under its reference, and writes only the blobs that are
// not there. On an error the image has no name. Errors are *imagestore.Error.
func (l *Layout) Receive(ctx context.Context, t imagestore.Transfer) (imagestore.Result, error) {
	ref := t.Image.Reference
	var got imagestore.Result
	err := l.bring(ctx, func() error {
		img, err := imagestore.NewSource(t.Image)
		if err != nil {
			return err
		}
		if err := l.putLayers(ctx, img, t.OnBytes, &got.Delivery); err != nil {
			return err
		}
		for _, doc := range img.Documents() {
			if err := l.putDocument(ctx, doc); err != nil {
				return fmt.Errorf("%s: %w", doc.MediaType, err)
			}
		}
		root := imagestore.Bare(img.Root())
		if err := l.name(ctx, map[string]ocispec.Descriptor{ref: root}); err != nil {
			return err
		}
		got.Image, err = l.Inspect(ctx, ref)
		return err
	})
	if err != nil {
		return imagestore.Result{}, l.fail("load", ref, err)
	}
	got.Name, got.Kind, got.Method = ref, imagestore.KindOCI, buildkit.MethodOCI
	return got, nil
}

// bring runs put, which writes blobs and then names them, while no blob is swept.
func (l *Layout) bring(ctx context.Context, put func() error) error {
	defer l.sweep()
	unlock, err := l.lock(ctx, blobsLock, filelock.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	err = put()
	if err != nil && ctx.Err() != nil {
		// A source that was cut off has an error of its own.
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

func (l *Layout) putLayers(
	ctx context.Context, img imagestore.Source, onBytes func(int), got *buildkit.Delivery,
) error {
	seen := map[digest.Digest]bool{}
	for _, layer := range img.Parsed.Layers {
		switch {
		case seen[layer.Digest]:
			continue
		case l.hasBlob(layer) == nil:
			got.LayersReused++
		default:
			if err := l.putLayer(ctx, img, layer, onBytes, got); err != nil {
				return fmt.Errorf("layer %s: %w", layer.Digest, err)
			}
			got.LayersSent++
		}
		seen[layer.Digest] = true
	}
	return nil
}

func (l *Layout) putLayer(
	ctx context.Context, img imagestore.Source, layer ocispec.Descriptor, onBytes func(int),
	got *buildkit.Delivery,
) error {
	blob, err := img.Open(ctx, layer)
	if err != nil {
		return err
	}
	defer blob.Close()
	return l.putBlob(ctx, layer, io.TeeReader(blob, byteCounter(func(n int) {
		got.Bytes += int64(n)
		onBytes(n)
	})))
}

// name adds images to the index if all of their blobs are there.
func (l *Layout) name(ctx context.Context, names map[string]ocispec.Descriptor) error {
	for _, d := range names {
		if _, err := l.image(d); err != nil {
			return err
		}
	}
	return l.update(ctx, func(x *indexFile) error {
		for ref, d := range names {
			if err := x.put(ref, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// byteCounter is a writer that calls the function with the size of each write.
type byteCounter func(int)

func (c byteCounter) Write(p []byte) (int, error) {
	c(len(p))
	return len(p), nil
}

// Load takes an archive that holds an OCI layout, as BuildKit and `docker save` write it, and names
// the images by the annotation io.containerd.image.name of their index entries. If the archive
// breaks off or lacks a blob, nothing is named. Errors are *imagestore.Error; if archive fails,
// they wrap its error.
func (l *Layout) Load(ctx context.Context, archive io.Reader, _ string) error {
	source := imagestore.NewUpload(ctx, archive)
	err := l.bring(ctx, func() error { return l.unpack(ctx, source.Body) })
	if broken := source.End(); broken != nil && ctx.Err() == nil {
		err = fmt.Errorf("reading the archive: %w", broken)
	}
	if err != nil {
		return l.fail("load", "", err)
	}
	return nil
}

// unpack writes the blobs of an archive into the folder, and no other file of it.
func (l *Layout) unpack(ctx context.Context, archive io.Reader) error {
	var index indexFile
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
			names[familiar(full)] = imagestore.Bare(e.Descriptor)
		}
	}
	if len(names) == 0 {
		return errors.New("the archive holds no OCI layout with a named image; builders before " +
			"BuildKit 0.12 write none")
	}
	return l.name(ctx, names)
}

func readArchiveIndex(r io.Reader, size int64) (indexFile, error) {
	if size > maxDocument {
		return indexFile{}, fmt.Errorf("larger than %d bytes", maxDocument)
	}
	var body bytes.Buffer
	if _, err := io.Copy(&body, r); err != nil {
		return indexFile{}, err
	}
	return parseIndex(body.Bytes())
}

// blobOf returns the digest in a path of the form blobs/sha256/<hex>, and accepts no other path.
func blobOf(name string) (digest.Digest, bool) {
	dir, hex := path.Split(name)
	algorithm, ok := strings.CutPrefix(path.Clean(dir), ocispec.ImageBlobsDir+"/")
	d := digest.NewDigestFromEncoded(digest.Algorithm(algorithm), hex)
	return d, ok && d.Validate() == nil && fs.ValidPath(name) && imagestore.BlobPath(d) == name
}

// familiar returns a name as Docker prints it, which is the form that Pinion uses.
func familiar(full string) string {
	if named, err := parseTagged(full); err == nil {
		return reference.FamiliarString(named)
	}
	return full
}
