package layout_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/layout"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// Images of others stay as they are, with everything that their entries say.
func TestLayoutKeepsForeignEntries(t *testing.T) {
	f := openLayout(t, t.TempDir())
	ours, theirs := storetest.NewLayered(t, "base", "ours"),
		storetest.NewLayered(t, "base", "theirs")
	f.receive(t, "molecule-local/x:1", theirs)
	descriptor := theirs.Descriptor
	foreign := `{"mediaType":"` + descriptor.MediaType + `","digest":"` +
		descriptor.Digest.String() + `","size":` + asText(t, descriptor.Size) +
		`,"com.example.unknown":{"z":1,"a":[2.50]},"annotations":` +
		`{"org.opencontainers.image.ref.name":"stable"}}`
	index := `{"schemaVersion":2,"com.example":"kept","manifests":[` + foreign +
		`,{"mediaType":"application/x","digest":"nonsense","size":1}]}`
	if err := os.WriteFile(filepath.Join(f.dir, "index.json"), []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	f.receive(t, "molecule-local/x:1", ours)
	if err := f.Untag(t.Context(), "molecule-local/x:1"); err != nil {
		t.Fatal(err)
	}
	f.want(t, "stable", theirs)
	body, err := os.ReadFile(filepath.Join(f.dir, "index.json"))
	if err != nil || !strings.Contains(string(body), foreign) ||
		!strings.Contains(string(body), `"com.example":"kept"`) ||
		!strings.Contains(string(body), "nonsense") {
		t.Errorf("the index is %s, %v", body, err)
	}
	if n := len(f.blobs(t)); n != 4 {
		t.Errorf("%d blobs are left of the other's image with 2 layers", n)
	}
}

func asText(t *testing.T, v any) string { return string(storetest.JSON(t, v)) }

// Blobs that another program has brought, and not yet named, are not ours to remove.
func TestLayoutLeavesForeignBlobs(t *testing.T) {
	f := openLayout(t, t.TempDir())
	f.receive(t, "molecule-local/x:1", storetest.NewLayered(t, "ours"))
	stranger := f.blob(digest.FromString("on its way"))
	if err := os.WriteFile(stranger, []byte("on its way"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Untag(t.Context(), "molecule-local/x:1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stranger); err != nil || len(f.blobs(t)) != 1 {
		t.Errorf("%v; blobs are %q", err, f.blobs(t))
	}
}

// Many writers with their own handles, as processes have, share one folder: no entry or blob is
// lost.
func TestLayoutConcurrentWriters(t *testing.T) {
	dir := t.TempDir()
	images := map[string]*storetest.Layered{}
	for i := range 12 {
		images["molecule-local/x:"+asText(t, i)] = storetest.NewLayered(t, "shared",
			"own "+asText(t, i))
	}
	doomed := storetest.NewLayered(t, "shared", "doomed")
	var all sync.WaitGroup
	for ref, l := range images {
		all.Go(func() {
			f, err := layout.Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			// Each also brings and removes one that has a layer in common with all others.
			doomed := storetest.NewLayered(t, "shared", "doomed")
			for _, step := range []func() error{
				func() error { return receiveInto(t.Context(), f, ref+"-doomed", doomed) },
				func() error { return receiveInto(t.Context(), f, ref, l) },
				func() error { return f.Untag(t.Context(), ref+"-doomed") },
			} {
				if err := step(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	f := openLayout(t, dir)
	for ref, l := range images {
		f.want(t, ref, l)
	}
	f.wantGone(t, doomed.Descriptor.Digest.String())
	// The last writer removes the blobs that others had to leave while transfers were running.
	f.receive(t, "molecule-local/x:last", storetest.NewLayered(t, "last"))
	f.clean(t)
	if want := 1 + 3*len(images) + 3; len(f.blobs(t)) != want {
		t.Errorf("%d blobs, not %d", len(f.blobs(t)), want)
	}
}
