package layout_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// TestFault66_TooManyNames: an index to which no name can be added can be read, and names can be
// removed from it.
func TestFault66_TooManyNames(t *testing.T) {
	f := openLayout(t, t.TempDir())
	l := storetest.NewLayered(t, "x")
	f.receive(t, "molecule-local/x:1", l)
	id := l.Descriptor.Digest.String()
	path := filepath.Join(f.dir, "index.json")
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(body, &index); err != nil {
		t.Fatal(err)
	}
	// As many names as are written, and 20,000 at least.
	one := index.Manifests[0]
	for i := 0; len(body) < 8<<20-600; i++ {
		one.Annotations = map[string]string{ocispec.AnnotationRefName: fmt.Sprintf(
			"molecule-local/workspace-template-of-a-usual-length:%012x", i)}
		one.Annotations["io.containerd.image.name"] = "docker.io/" +
			one.Annotations[ocispec.AnnotationRefName]
		index.Manifests = append(index.Manifests, one)
		entry, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		body = append(body, entry...)
		body = append(body, ',')
	}
	if body, err = json.Marshal(index); err != nil || len(index.Manifests) < 20_000 {
		t.Fatalf("%d names, %v", len(index.Manifests), err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, refused := 0, false; !refused; i++ {
		if i == 8 {
			t.Fatal("no bound was met")
		}
		name := "molecule-local/x:" + fmt.Sprintf("%0120d", i)
		if refused = f.Tag(t.Context(), id, name) != nil; refused {
			f.wantGone(t, name)
		}
	}
	f.want(t, "molecule-local/x:1", l)
	if err := f.Untag(t.Context(), "molecule-local/x:1"); err != nil {
		t.Error(err)
	}
	f.wantGone(t, "molecule-local/x:1")
}
