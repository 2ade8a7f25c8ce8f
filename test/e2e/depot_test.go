package e2e_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// The account of a depot.
const (
	depotUser     = "puller"
	depotPassword = "s3cret-of-the-registry"
)

// depot is a registry that requires a login, behind a counting proxy.
type depot struct {
	*parts.Proxy
	registry *parts.Registry
	host     string // of the proxy, as it stands in an image's name
}

func newDepot(t *testing.T) *depot {
	t.Helper()
	r := partstest.Registry(t, parts.RegistryOptions{User: depotUser, Password: depotPassword})
	p := partstest.Proxy(t, r.URL())
	return &depot{p, r, strings.TrimPrefix(p.URL(), "http://")}
}

// push puts an image into the registry and returns its archive.
func (d *depot) push(t *testing.T, repository, tag string, spec storetest.Spec) storetest.Archive {
	t.Helper()
	image := storetest.Build(spec)
	for _, blob := range [][]byte{image.Config, image.Layer} {
		d.upload(t, repository, blob)
	}
	// The distribution specification requires the media type that the manifest names.
	d.send(t, http.MethodPut, "/v2/"+repository+"/manifests/"+tag, ocispec.MediaTypeImageManifest,
		image.Manifest)
	return image
}

// upload pushes a blob in one piece (OCI distribution spec, "POST then PUT").
func (d *depot) upload(t *testing.T, repository string, blob []byte) {
	t.Helper()
	location := d.send(t, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", "",
		nil).Get("Location")
	path := strings.TrimPrefix(location, d.registry.URL())
	d.send(t, http.MethodPut, path+"&digest="+digest.FromBytes(blob).String(),
		"application/octet-stream", blob)
}

func (d *depot) send(t *testing.T, method, path, kind string, body []byte) http.Header {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.registry.URL()+path,
		bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(depotUser, depotPassword)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return resp.Header
}

// withLogin gives a user the registry's credentials as `docker login` leaves them.
func (d *depot) withLogin(t *testing.T, u user, password string) user {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(depotUser + ":" + password))
	write(t, filepath.Join(u.env["HOME"], ".docker", "config.json"),
		fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, d.host, auth), 0o600)
	return u
}

// withHelper gives a user a credential helper that knows them.
func (d *depot) withHelper(t *testing.T, u user) user {
	t.Helper()
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nread -r host\n[ \"$1 $host\" = 'get %s' ] || exit 1\necho "+
		"'{\"Username\":%q,\"Secret\":%q}'\n", d.host, depotUser, depotPassword)
	write(t, filepath.Join(bin, "docker-credential-pinion-test"), script, 0o700)
	write(t, filepath.Join(u.env["HOME"], ".docker", "config.json"),
		fmt.Sprintf(`{"credHelpers":{%q:"pinion-test"}}`, d.host), 0o600)
	return u.with("PATH", bin+":"+u.env["PATH"])
}
