package layout_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

func TestLayoutAttested(t *testing.T) {
	f := openLayout(t, t.TempDir())
	l := storetest.Attested(t, "base", "top")
	f.receive(t, "molecule-local/x:1", l)
	img, err := f.Inspect(t.Context(), l.Root().Digest.String())
	size := l.Descriptor.Size + int64(len(l.Config))
	for _, d := range l.Around {
		size += d.Size
	}
	for _, body := range l.Layers {
		size += int64(len(body))
	}
	if err != nil || img.Platform != "linux/amd64" || img.Size != size || len(img.Tags) != 1 {
		t.Errorf("it is %+v, %v; want %d bytes", img, err, size)
	}
	if err := f.Tag(t.Context(), img.ID, "molecule-local/x:2"); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"molecule-local/x:1", "molecule-local/x:2"} {
		f.want(t, ref, l)
		if err := f.Untag(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if leftovers := f.blobs(t); len(leftovers) > 0 {
		t.Errorf("left behind: %v", leftovers)
	}
	f.clean(t)
}

// TestFault37_LayoutAttestationDamaged: without its statement, whole, the image is another one than
// was recorded.
func TestFault37_LayoutAttestationDamaged(t *testing.T) {
	for i, part := range []string{"statement", "config", "manifest", "index"} {
		for name, damage := range map[string]func(*testing.T, string){"missing": remove,
			"truncated": truncate, "changed": spoil} {
			t.Run(part+" "+name, func(t *testing.T) {
				f := openLayout(t, t.TempDir())
				l := storetest.Attested(t, "base")
				f.receive(t, "molecule-local/x:1", l)
				damage(t, f.blob(l.Around[i].Digest))
				f.wantGone(t, "molecule-local/x:1", l.Root().Digest.String())
				f.receive(t, "molecule-local/x:1", l)
			})
		}
	}
}

// TestLayoutSeveralImages: an index of two images is not one, and neither is one of statements
// alone.
func TestLayoutSeveralImages(t *testing.T) {
	for name, change := range map[string]func(*ocispec.Index){
		"several": func(x *ocispec.Index) { x.Manifests = append(x.Manifests, x.Manifests[0]) },
		"no":      func(x *ocispec.Index) { x.Manifests = x.Manifests[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			f := openLayout(t, filepath.Join(t.TempDir(), "images"))
			l := storetest.Attested(t, "base")
			var index ocispec.Index
			if err := json.Unmarshal(l.Root().Data, &index); err != nil {
				t.Fatal(err)
			}
			change(&index)
			root := &l.Around[len(l.Around)-1]
			root.Data = storetest.JSON(t, index)
			root.Digest, root.Size = digest.FromBytes(root.Data), int64(len(root.Data))
			_, err := f.Receive(t.Context(), l.Transfer("molecule-local/x:1"))
			if err == nil || !strings.Contains(err.Error(), "has "+name+" image") {
				t.Errorf("error is %v", err)
			}
			f.wantGone(t, "molecule-local/x:1")
		})
	}
}
