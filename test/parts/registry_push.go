package parts

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// PushImage pushes an image for linux/amd64 that nobody has, with a layer of each size in bytes. It
// returns the digests of the layers. The registry must not require a login.
func (r *Registry) PushImage(
	ctx context.Context, repository, tag string, sizes ...int,
) (layers []string, err error) {
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS: ocispec.RootFS{Type: "layers"}}
	for i, size := range sizes {
		blob, err := randomLayer(fmt.Sprintf("layer%d", i), size)
		if err != nil {
			return nil, err
		}
		desc, err := r.pushBlob(ctx, repository, ocispec.MediaTypeImageLayer, blob)
		if err != nil {
			return nil, err
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, desc.Digest)
		manifest.Layers = append(manifest.Layers, desc)
		layers = append(layers, desc.Digest.String())
	}
	body, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	manifest.Config, err = r.pushBlob(ctx, repository, ocispec.MediaTypeImageConfig, body)
	if err != nil {
		return nil, err
	}
	if body, err = json.Marshal(manifest); err != nil {
		return nil, err
	}
	_, err = r.send(ctx, http.MethodPut, "/v2/"+repository+"/manifests/"+tag,
		manifest.MediaType, body)
	return layers, err
}

// randomLayer is a layer of one file that no program can compress.
func randomLayer(name string, size int) ([]byte, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	data := make([]byte, size)
	_, _ = rand.Read(data) // never fails
	err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(size)})
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	return layer.Bytes(), err
}

// pushBlob pushes a blob in one piece (OCI distribution specification, "POST then PUT").
func (r *Registry) pushBlob(
	ctx context.Context, repository, mediaType string, blob []byte,
) (ocispec.Descriptor, error) {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(blob),
		Size: int64(len(blob))}
	header, err := r.send(ctx, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", "", nil)
	if err != nil {
		return desc, err
	}
	place := strings.TrimPrefix(header.Get("Location"), r.URL())
	_, err = r.send(ctx, http.MethodPut, place+"&digest="+desc.Digest.String(),
		"application/octet-stream", blob)
	return desc, err
}

func (r *Registry) send(
	ctx context.Context, method, place, mediaType string, body []byte,
) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.URL()+place, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("%s %s: %s: %s", method, place, resp.Status, text)
	}
	return resp.Header, nil
}
