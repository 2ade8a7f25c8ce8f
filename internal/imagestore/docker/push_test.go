package docker_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// pusher puts images into a registry over the OCI distribution protocol. The
// engines do not help here: they cannot push what they cannot pull yet.
type pusher struct {
	t              *testing.T
	url            string // http://host:port
	user, password string
}

func (p pusher) image(repo, reference string, a storetest.Archive) {
	p.blob(repo, a.Config)
	p.blob(repo, a.Layer)
	p.manifest(repo, reference, ocispec.MediaTypeImageManifest, a.Manifest)
}

// index pushes the images of several platforms under one tag.
func (p pusher) index(repo, tag string, images map[string]storetest.Archive) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex}
	for arch, a := range images {
		p.image(repo, a.ManifestDigest.String(), a)
		index.Manifests = append(index.Manifests, ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageManifest, Digest: a.ManifestDigest,
			Size:     int64(len(a.Manifest)),
			Platform: &ocispec.Platform{OS: "linux", Architecture: arch},
		})
	}
	data, err := json.Marshal(index)
	if err != nil {
		p.t.Fatal(err)
	}
	p.manifest(repo, tag, ocispec.MediaTypeImageIndex, data)
}

func (p pusher) blob(repo string, data []byte) {
	p.t.Helper()
	started := p.do(http.MethodPost, p.url+"/v2/"+repo+"/blobs/uploads/", "", nil,
		http.StatusAccepted)
	location, err := started.Request.URL.Parse(started.Header.Get("Location"))
	if err != nil {
		p.t.Fatal(err)
	}
	query := location.Query()
	query.Set("digest", digest.FromBytes(data).String())
	location.RawQuery = query.Encode()
	p.do(http.MethodPut, location.String(), "application/octet-stream", data, http.StatusCreated)
}

func (p pusher) manifest(repo, reference, mediaType string, data []byte) {
	p.t.Helper()
	p.do(http.MethodPut, p.url+"/v2/"+repo+"/manifests/"+reference, mediaType, data,
		http.StatusCreated)
}

func (p pusher) do(method, url, contentType string, body []byte, want int) *http.Response {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if p.user != "" {
		req.SetBasicAuth(p.user, p.password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		p.t.Fatalf("%s %s: %s, want %d", method, url, resp.Status, want)
	}
	return resp
}
