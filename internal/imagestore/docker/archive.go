package docker

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/failpoint"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// archive writes an image as both an OCI layout, which the containerd store reads, and a docker
// archive, which the classic store reads. It names the layers that the store has and leaves them
// out.
type archive struct {
	w       io.Writer
	image   imagestore.Source
	ref     string
	skip    map[digest.Digest]bool // layers that are left out
	onBytes func(int)

	bytes      int64
	layersSent int
	// unread reports whether a layer could not be read from its source.
	unread bool
}

func (a *archive) write(ctx context.Context) error {
	tw := tar.NewWriter(a.w)
	if err := a.layers(ctx, tw); err != nil {
		return err
	}
	index, err := json.Marshal(a.index())
	if err != nil {
		return err
	}
	docker, err := json.Marshal([]dockerManifest{a.docker()})
	if err != nil {
		return err
	}
	layout := fmt.Appendf(nil, `{"imageLayoutVersion":%q}`, ocispec.ImageLayoutVersion)
	type file struct {
		name string
		body []byte
	}
	files := []file{{ocispec.ImageIndexFile, index}, {ocispec.ImageLayoutFile, layout},
		{"manifest.json", docker}}
	for _, doc := range a.image.Documents() {
		files = append(files, file{imagestore.BlobPath(doc.Digest), doc.Data})
	}
	for _, f := range files {
		if err := tw.WriteHeader(&tar.Header{Name: f.name, Mode: 0o444,
			Size: int64(len(f.body))}); err != nil {
			return err
		}
		if _, err := tw.Write(f.body); err != nil {
			return err
		}
	}
	return tw.Close()
}

func (a *archive) layers(ctx context.Context, tw *tar.Writer) error {
	for _, layer := range a.image.Layers() {
		if a.skip[layer.Digest] {
			continue
		}
		if err := failpoint.At(ctx, failpoint.Loading, a.layer(ctx, tw, layer)); err != nil {
			return err
		}
		a.layersSent++
	}
	return nil
}

func (a *archive) layer(ctx context.Context, tw *tar.Writer, layer ocispec.Descriptor) error {
	blob, err := a.image.Open(ctx, layer)
	if err != nil {
		a.unread = true
		return fmt.Errorf("read layer %s: %w", layer.Digest, err)
	}
	defer blob.Close()
	if err := tw.WriteHeader(&tar.Header{Name: imagestore.BlobPath(layer.Digest), Mode: 0o444,
		Size: layer.Size}); err != nil {
		return err
	}
	counted := &countingWriter{w: tw, onBytes: a.onBytes}
	_, err = io.Copy(counted, blob)
	a.bytes += counted.n
	if err == nil && counted.n != layer.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		a.unread = counted.err == nil
		return fmt.Errorf("layer %s: %w", layer.Digest, err)
	}
	return nil
}

type countingWriter struct {
	w       io.Writer
	onBytes func(int)
	n       int64
	err     error // the writer's, not the reader's
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.onBytes(n)
	c.err = err
	return n, err
}

// index names the image by the annotation io.containerd.image.name, as containerd's importer
// expects (core/images/archive).
func (a *archive) index() ocispec.Index {
	desc := imagestore.Bare(a.image.Root())
	desc.Annotations = map[string]string{"io.containerd.image.name": "docker.io/" + a.ref}
	return ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{desc},
	}
}

// dockerManifest is an entry of manifest.json in the format of `docker save`.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (a *archive) docker() dockerManifest {
	m := dockerManifest{Config: imagestore.BlobPath(a.image.Parsed.Config.Digest),
		RepoTags: []string{a.ref}}
	for _, l := range a.image.Parsed.Layers {
		m.Layers = append(m.Layers, imagestore.BlobPath(l.Digest))
	}
	return m
}
