package docker

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// layers returns what there is to push of an image of a classic store, whose archive has the config
// and uncompressed layers: as files of the layout's form since 25, as <hash>/layer.tar before. The
// config's digest is the ID, and the digests of the uncompressed layers stand in the config, so
// both are verified. The layers go compressed, as the engine compresses them: those that it sent
// are found at the registry.
func (s saved) layers(ctx context.Context) (registry.Content, error) {
	img, err := s.engine.inspect(ctx, s.id.String())
	if err != nil {
		return registry.Content{}, err
	}
	var config []byte
	blobs := map[string]ocispec.Descriptor{} // by the file's name
	byContent := map[digest.Digest]ocispec.Descriptor{}
	err = s.each(ctx, func(name string, file io.Reader) (err error) {
		d, isBlob := blobOf(name)
		switch {
		case s.isConfig(name):
			config, err = io.ReadAll(io.LimitReader(file, maxDocument))
		case strings.HasSuffix(name, "/layer.tar"),
			isBlob && slices.Contains(img.RootFS.Layers, d.String()):
			var content digest.Digest
			content, blobs[name], err = squeeze(file)
			byContent[content] = blobs[name]
		}
		return err
	})
	if err != nil {
		return registry.Content{}, err
	}
	root, manifest, err := s.manifest(config, byContent)
	if err != nil {
		return registry.Content{}, fmt.Errorf("the engine's archive of the image: %w", err)
	}
	content, err := registry.NewContent(root,
		func(ocispec.Descriptor) ([]byte, error) { return manifest, nil })
	content.Each = s.sender(content.Blobs, func(name string) digest.Digest {
		if s.isConfig(name) {
			return s.id
		}
		return blobs[name].Digest
	}, func(d digest.Digest, file io.Reader) io.ReadCloser {
		if d == s.id {
			return io.NopCloser(file)
		}
		return startSqueezing(file)
	})
	return content, err
}

func (s saved) isConfig(name string) bool {
	d, _ := blobOf(name)
	return d == s.id || name == s.id.Encoded()+".json"
}

// manifest returns the manifest for a config and the layers by the digests of their content. It is
// of Docker's media type, as the one that the engine makes.
func (s saved) manifest(
	config []byte, layers map[digest.Digest]ocispec.Descriptor,
) (root ocispec.Descriptor, body []byte, err error) {
	if s.id.Algorithm().FromBytes(config) != s.id {
		return root, nil, errors.New("it lacks the config")
	}
	var image ocispec.Image
	if err := json.Unmarshal(config, &image); err != nil {
		return root, nil, err
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: images.MediaTypeDockerSchema2Manifest,
		Config: ocispec.Descriptor{MediaType: images.MediaTypeDockerSchema2Config, Digest: s.id,
			Size: int64(len(config))},
		Layers: []ocispec.Descriptor{}}
	for _, d := range image.RootFS.DiffIDs {
		layer, ok := layers[d]
		if !ok {
			return root, nil, fmt.Errorf("it lacks the layer %s", d)
		}
		m.Layers = append(m.Layers, layer)
	}
	body, err = json.Marshal(m)
	return ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(body),
		Size: int64(len(body))}, body, err
}

// squeeze reads a layer and returns the digest of its content, and of what it is compressed.
func squeeze(layer io.Reader) (content digest.Digest, d ocispec.Descriptor, err error) {
	plain, packed := digest.Canonical.Digester(), digest.Canonical.Digester()
	blob := startSqueezing(io.TeeReader(layer, plain.Hash()))
	defer blob.Close()
	size, err := io.Copy(packed.Hash(), blob)
	return plain.Digest(), ocispec.Descriptor{MediaType: images.MediaTypeDockerSchema2LayerGzip,
		Digest: packed.Digest(), Size: size}, err
}

// squeezing is a layer that is compressed while it is read. The same content gives the same bytes.
type squeezing struct {
	*io.PipeReader
	ended chan struct{}
}

func startSqueezing(layer io.Reader) *squeezing {
	out, in := io.Pipe()
	s := &squeezing{out, make(chan struct{})}
	go func() {
		defer close(s.ended)
		z := gzip.NewWriter(in)
		_, err := io.Copy(z, layer)
		if err == nil {
			err = z.Close()
		}
		_ = in.CloseWithError(err) // never fails; nil is the end of the file
	}()
	return s
}

// Close ends the compression. After it the layer is not read any more.
func (s *squeezing) Close() error {
	err := s.PipeReader.Close()
	<-s.ended
	return err
}
