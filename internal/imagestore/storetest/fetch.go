package storetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// fetch pulls from a registry on this machine as an engine with a containerd store does: missing
// blobs by digest, and with the credential only after the registry asked for it.
func (f *Fake) fetch(
	w http.ResponseWriter, r *http.Request, auth *registry.AuthConfig, name, tag string,
) {
	w.Header().Set("Content-Type", "application/json")
	img, err := f.fetchImage(r, auth, name, tag)
	if err != nil {
		_ = json.NewEncoder(w).Encode(
			map[string]any{"errorDetail": map[string]string{"message": err.Error()},
				"error": err.Error()},
		)
		return
	}
	f.add(img)
	_, _ = io.WriteString(w, `{"status":"Status: Downloaded newer image"}`+"\n")
}

func (f *Fake) fetchImage(
	r *http.Request, auth *registry.AuthConfig, name, tag string,
) (loaded, error) {
	host, repository, _ := strings.Cut(name, "/")
	get := func(path, want string) ([]byte, error) {
		return fetchDocument(r, auth, "http://"+host+"/v2/"+repository+path, want)
	}
	raw, err := get("/manifests/"+tag, "")
	if err != nil {
		return loaded{}, err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return loaded{}, err
	}
	img := loaded{id: digest.FromBytes(raw).String(), tags: []string{name + ":" + tag},
		complete: true}
	if img.config, err = get("/blobs/"+manifest.Config.Digest.String(),
		manifest.Config.Digest.String()); err != nil {
		return loaded{}, err
	}
	held := f.held()
	for _, layer := range manifest.Layers {
		if !held[layer.Digest] && !slices.Contains(img.layers, layer.Digest) {
			body, err := get("/blobs/"+layer.Digest.String(), layer.Digest.String())
			if err != nil {
				return loaded{}, err
			}
			img.size += int64(len(body))
		}
		img.layers = append(img.layers, layer.Digest)
	}
	return img, nil
}

// fetchDocument checks the digest want unless it is "".
func fetchDocument(r *http.Request, auth *registry.AuthConfig, url, want string) ([]byte, error) {
	status, _, err := get(r, url, nil)
	if err != nil {
		return nil, err
	}
	if status != http.StatusUnauthorized {
		return nil, fmt.Errorf("%s: unexpected status %d without a credential", url, status)
	}
	status, body, err := get(r, url, auth)
	if err != nil {
		return nil, err
	}
	if got := digest.FromBytes(body).String(); status != http.StatusOK || want != "" &&
		got != want {
		return nil, fmt.Errorf("%s: status %d, digest %s", url, status, got)
	}
	return body, nil
}

func get(
	r *http.Request, url string, auth *registry.AuthConfig,
) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	if auth != nil {
		req.SetBasicAuth(auth.Username, auth.Password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}
