package docker

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

const (
	// maxDocument is the greatest size of a manifest or a config in an archive, in bytes.
	maxDocument = 4 << 20
	// mostDocuments is how many manifests of an archive are remembered.
	mostDocuments = 64
)

// saved is an image as the archives of `docker save` have it. An archive is a stream; nothing of it
// is kept but manifests and configs.
type saved struct {
	engine *Engine
	id     digest.Digest
	moved  func() // called while an archive is read
}

// each reads an archive and calls visit with each file of it, by its path.
func (s saved) each(ctx context.Context, visit func(name string, file io.Reader) error) error {
	archive, err := s.engine.api.ImageSave(ctx, []string{s.id.String()})
	if err != nil {
		return err
	}
	defer archive.Close()
	for files := tar.NewReader(watched{archive, s.moved}); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && h.Typeflag == tar.TypeReg {
			err = visit(path.Clean(h.Name), files)
		}
		if err != nil {
			return err
		}
	}
}

// blobs returns what there is to push of an image of a containerd store, whose archive is an OCI
// layout with the very blobs.
func (s saved) blobs(ctx context.Context) (registry.Content, error) {
	documents := map[digest.Digest][]byte{}
	err := s.each(ctx, func(name string, file io.Reader) error {
		d, ok := blobOf(name)
		if !ok || len(documents) == mostDocuments {
			return nil
		}
		body, err := io.ReadAll(io.LimitReader(file, maxDocument))
		var kind struct{ SchemaVersion int }
		if err == nil && d.Algorithm().FromBytes(body) == d &&
			json.Unmarshal(body, &kind) == nil && kind.SchemaVersion == 2 {
			documents[d] = body
		}
		return err
	})
	if err != nil {
		return registry.Content{}, err
	}
	content, err := registry.NewContent(ocispec.Descriptor{Digest: s.id,
		MediaType: typeOf(documents[s.id]), Size: int64(len(documents[s.id]))},
		func(d ocispec.Descriptor) ([]byte, error) {
			if body, ok := documents[d.Digest]; ok {
				return body, nil
			}
			return nil, fmt.Errorf("the engine's archive of the image lacks %s", d.Digest)
		})
	content.Each = s.sender(content.Blobs, func(name string) digest.Digest {
		d, _ := blobOf(name)
		return d
	}, func(_ digest.Digest, file io.Reader) io.ReadCloser { return io.NopCloser(file) })
	return content, err
}

// sender returns a function that reads an archive and sends what is wanted. which returns the blob
// that a file of the archive is, and open reads it; it is closed before the next file is read.
func (s saved) sender(
	blobs []ocispec.Descriptor, which func(name string) digest.Digest,
	open func(digest.Digest, io.Reader) io.ReadCloser,
) func(
	context.Context, map[digest.Digest]bool, func(ocispec.Descriptor, io.Reader) error,
) error {
	known := map[digest.Digest]ocispec.Descriptor{}
	for _, b := range blobs {
		known[b.Digest] = b
	}
	return func(ctx context.Context, wanted map[digest.Digest]bool,
		send func(ocispec.Descriptor, io.Reader) error,
	) error {
		err := s.each(ctx, func(name string, file io.Reader) error {
			d := which(name)
			if !wanted[d] {
				return nil
			}
			delete(wanted, d)
			blob := open(d, file)
			defer blob.Close()
			return send(known[d], blob)
		})
		for d := range wanted {
			if err == nil {
				err = fmt.Errorf("the engine's archive of the image lacks %s", d)
			}
		}
		return err
	}
}

// typeOf returns the media type of a manifest or an index, "" for something else.
func typeOf(document []byte) string {
	var m struct {
		MediaType string
		Manifests []json.RawMessage
		Config    json.RawMessage
	}
	switch err := json.Unmarshal(document, &m); {
	case err != nil:
		return ""
	case m.MediaType != "":
		return m.MediaType
	case m.Manifests != nil:
		return ocispec.MediaTypeImageIndex
	case m.Config != nil:
		return ocispec.MediaTypeImageManifest
	}
	return ""
}

// blobOf returns the digest in the path of a blob in an OCI layout.
func blobOf(name string) (digest.Digest, bool) {
	dir, hex := path.Split(name)
	algorithm, ok := strings.CutPrefix(path.Clean(dir), ocispec.ImageBlobsDir+"/")
	d := digest.NewDigestFromEncoded(digest.Algorithm(algorithm), hex)
	return d, ok && d.Validate() == nil && imagestore.BlobPath(d) == name
}

// watched is a reader that reports that it is read.
type watched struct {
	io.Reader
	moved func()
}

// Read implements io.Reader.
func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.moved()
	return n, err
}
