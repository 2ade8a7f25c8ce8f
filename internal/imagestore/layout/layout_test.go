package layout_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/layout"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

func TestConformanceLayout(t *testing.T) { onLayout(t, storetest.Run) }

func TestFault35_IDOutlivesMovedTagInLayout(t *testing.T) { onLayout(t, storetest.MovedTag) }

func TestFault40_BrokenLoadsIntoLayout(t *testing.T) { onLayout(t, storetest.BrokenLoads) }

func TestFault42_TagAgainByIDInLayout(t *testing.T) { onLayout(t, storetest.TagByID) }

func onLayout(t *testing.T, run func(*testing.T, imagestore.Store, imagestore.Kind)) {
	run(t, openLayout(t, t.TempDir()).Layout, imagestore.KindOCI)
}

// folder is a layout and where it lies.
type folder struct {
	*layout.Layout
	dir string
}

func openLayout(t *testing.T, dir string) folder {
	t.Helper()
	l, err := layout.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return folder{l, dir}
}

func (f folder) receive(t *testing.T, ref string, l *storetest.Layered) imagestore.Result {
	t.Helper()
	var counted int64
	transfer := l.Transfer(ref)
	transfer.OnBytes = func(n int) { counted += int64(n) }
	got, err := f.Receive(t.Context(), transfer)
	if err != nil {
		t.Fatal(err)
	}
	if counted != got.Bytes {
		t.Errorf("progress counted %d bytes, the receipt %d", counted, got.Bytes)
	}
	f.want(t, ref, l)
	return got
}

func (f folder) want(t *testing.T, ref string, l *storetest.Layered) {
	t.Helper()
	img, err := f.Inspect(t.Context(), ref)
	if err != nil || img.ID != l.Root().Digest.String() {
		t.Errorf("%s is %+v, %v", ref, img, err)
	}
}

func (f folder) wantGone(t *testing.T, refs ...string) {
	t.Helper()
	for _, ref := range refs {
		if img, err := f.Inspect(t.Context(), ref); !errors.Is(err, imagestore.ErrNotFound) {
			t.Errorf("%s is %+v, %v", ref, img, err)
		}
	}
}

// blobs are the digests of the blobs in the folder.
func (f folder) blobs(t *testing.T) (found []string) {
	t.Helper()
	return f.files(t, "blobs/sha256")
}

func (f folder) files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.dir, dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (f folder) blob(d digest.Digest) string {
	return filepath.Join(f.dir, "blobs/sha256", d.Encoded())
}

func (f folder) index(t *testing.T) (x ocispec.Index) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(f.dir, ocispec.ImageIndexFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// clean checks that nothing is left of the work itself.
func (f folder) clean(t *testing.T) {
	t.Helper()
	leftovers := append(f.files(t, ".pinion/tmp"), f.files(t, ".pinion/loose")...)
	if len(leftovers) > 0 {
		t.Errorf("left behind: %q", leftovers)
	}
}

func TestLayoutWritesOnlyMissingBlobs(t *testing.T) {
	f := openLayout(t, filepath.Join(t.TempDir(), "new", "folder"))
	first := storetest.NewLayered(t, "base", "middle", "top")
	if got := f.receive(t, "molecule-local/x:1", first); got.LayersSent != 3 ||
		got.LayersReused != 0 ||
		got.Bytes == 0 {
		t.Errorf("first: %+v", got)
	}
	if got := f.receive(t, "molecule-local/x:2", first); got.LayersSent != 0 ||
		got.LayersReused != 3 ||
		got.Bytes != 0 {
		t.Errorf("unchanged: %+v", got)
	}
	second := storetest.NewLayered(t, "base", "middle", "other top")
	got := f.receive(t, "molecule-local/x:3", second)
	if top := digest.Digest(second.Digests[2]); got.LayersSent != 1 || got.LayersReused != 2 ||
		got.Bytes != int64(len(second.Layers[top])) || len(second.Opened()) != 1 {
		t.Errorf("changed top: %+v, opened %v", got, second.Opened())
	}
	for _, e := range f.index(t).Manifests {
		full := e.Annotations["io.containerd.image.name"]
		if full != "docker.io/"+e.Annotations[ocispec.AnnotationRefName] {
			t.Errorf("annotations are %v", e.Annotations)
		}
	}
	f.clean(t)

	// The image and what it alone needs goes with its last name.
	if err := f.Untag(t.Context(), "molecule-local/x:1"); err != nil {
		t.Fatal(err)
	}
	f.want(t, "molecule-local/x:2", first)
	if err := f.Untag(t.Context(), "molecule-local/x:2"); err != nil {
		t.Fatal(err)
	}
	f.wantGone(t, "molecule-local/x:1", "molecule-local/x:2", first.Descriptor.Digest.String())
	f.want(t, "molecule-local/x:3", second)
	if n := len(f.blobs(t)); n != 5 {
		t.Errorf("%d blobs are left of an image with 3 layers", n)
	}
	f.clean(t)
	if err := f.Untag(t.Context(), "molecule-local/x:3"); err != nil || len(f.blobs(t)) > 0 {
		t.Errorf("%v, and the blobs %q are left", err, f.blobs(t))
	}
}

// A name that moves takes the image with it which it was the last name of.
func TestLayoutTagMoves(t *testing.T) {
	f := openLayout(t, t.TempDir())
	first, second := storetest.NewLayered(t, "one"), storetest.NewLayered(t, "two")
	f.receive(t, "molecule-local/x:latest", first)
	f.receive(t, "molecule-local/x:2", second)
	if err := f.Tag(t.Context(), second.Descriptor.Digest.String(),
		"molecule-local/x:latest"); err != nil {
		t.Fatal(err)
	}
	f.want(t, "molecule-local/x:latest", second)
	f.wantGone(t, first.Descriptor.Digest.String())
	if len(f.blobs(t)) != 3 {
		t.Errorf("blobs are %q", f.blobs(t))
	}
}

func receiveInto(ctx context.Context, l *layout.Layout, ref string, img *storetest.Layered) error {
	_, err := l.Receive(ctx, img.Transfer(ref))
	return err
}

func wantLayoutError(t *testing.T, err, target error) {
	t.Helper()
	var typed *imagestore.Error
	if !errors.As(err, &typed) || typed.Origin != imagestore.OriginLayout || target != nil &&
		!errors.Is(err, target) {
		t.Errorf("error is %v, want the layout's around %v", err, target)
	}
}

func TestLayoutNeedsAnEngineToPull(t *testing.T) {
	f := openLayout(t, t.TempDir())
	err := f.Pull(t.Context(), "example.com/x:1", "", nil)
	wantLayoutError(t, err, errors.ErrUnsupported)
}
