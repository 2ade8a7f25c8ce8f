package docker

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// TestNoLayerIsReadAfterThePull: the builder that the layers come from may be gone then. An engine
// that gives up a pull and begins another one may be reading at that moment.
func TestNoLayerIsReadAfterThePull(t *testing.T) {
	image := storetest.NewLayered(t, "layer")
	opened, goOn := make(chan struct{}, 2), make(chan struct{})
	image.Open = func(_ context.Context, l ocispec.Descriptor) (io.ReadCloser, error) {
		opened <- struct{}{}
		<-goOn
		return image.Reader(l.Digest, bytes.NewReader(image.Layers[l.Digest])), nil
	}
	source, err := imagestore.NewSource(image.Solved)
	if err != nil {
		t.Fatal(err)
	}
	o, err := serveOne(t.Context(), source, "molecule-local/x:1", func(int) {}, func() {},
		func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ := strings.Cut(o.name, "/")
	get := func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+
			host+"/v2/molecule-local/x/blobs/"+image.Digests[0], nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.SetBasicAuth(registryUser, o.password)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}
	go get()
	<-opened
	closed := make(chan struct{})
	go func() {
		o.close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("it was closed while a layer was being read")
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	<-closed
	get()
	if len(opened) != 0 {
		t.Error("a layer was read after the end")
	}
}
