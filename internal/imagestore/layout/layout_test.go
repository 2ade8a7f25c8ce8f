package layout_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

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
	var told int64
	transfer := l.Transfer(ref)
	transfer.OnBytes = func(n int) { told += int64(n) }
	got, err := f.Receive(t.Context(), transfer)
	if err != nil {
		t.Fatal(err)
	}
	if told != got.Bytes {
		t.Errorf("progress told of %d bytes, the receipt of %d", told, got.Bytes)
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
	if left := append(f.files(t, ".pinion/tmp"), f.files(t, ".pinion/loose")...); len(left) > 0 {
		t.Errorf("left behind: %q", left)
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

// Many writers with handles of their own, as processes have, on one folder: nobody's entry or blob
// is lost.
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
	// Whoever comes last sweeps what others could not, since blobs were on their way in.
	f.receive(t, "molecule-local/x:last", storetest.NewLayered(t, "last"))
	f.clean(t)
	if want := 1 + 3*len(images) + 3; len(f.blobs(t)) != want {
		t.Errorf("%d blobs, not %d", len(f.blobs(t)), want)
	}
}

func receiveInto(ctx context.Context, l *layout.Layout, ref string,
	img *storetest.Layered) error {
	_, err := l.Receive(ctx, img.Transfer(ref))
	return err
}

// A source that breaks off, or lies, leaves no name and no blob, and the next attempt works.
func TestFault38_LayoutNamesNothingBroken(t *testing.T) {
	gone := errors.New("the builder is gone")
	for name, spoil := range map[string]func([]byte) io.Reader{
		"breaks": func(b []byte) io.Reader {
			return io.MultiReader(bytes.NewReader(b[:600]), iotest.ErrReader(gone))
		},
		"ends":   func(b []byte) io.Reader { return bytes.NewReader(b[:600]) },
		"longer": func(b []byte) io.Reader { return bytes.NewReader(append(slices.Clone(b), 0)) },
		"lies":   func(b []byte) io.Reader { return bytes.NewReader(bytes.ToUpper(b)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := openLayout(t, t.TempDir())
			l := storetest.NewLayered(t, "base", "broken")
			whole := l.Solved
			l.Open = func(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
				return io.NopCloser(spoil(l.Layers[d.Digest])), nil
			}
			_, err := f.Receive(t.Context(), l.Transfer("molecule-local/x:1"))
			wantLayoutError(t, err, nil)
			if name == "breaks" && !errors.Is(err, gone) {
				t.Errorf("error is %v", err)
			}
			f.wantGone(t, "molecule-local/x:1")
			f.clean(t)
			if len(f.blobs(t)) > 0 {
				t.Errorf("left behind: %q", f.blobs(t))
			}
			l.Solved = whole
			f.receive(t, "molecule-local/x:1", l)
		})
	}
}

func wantLayoutError(t *testing.T, err, target error) {
	t.Helper()
	var typed *imagestore.Error
	if !errors.As(err, &typed) || typed.Origin != imagestore.OriginLayout || target != nil &&
		!errors.Is(err, target) {
		t.Errorf("error is %v, want the layout's around %v", err, target)
	}
}

// Whatever happens to the blobs of an image: it is no longer there, and can be brought again.
func TestFault37_LayoutDamaged(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, f folder, l *storetest.Layered){
		"layer missing": func(t *testing.T, f folder, l *storetest.Layered) {
			remove(t, f.blob(digest.Digest(l.Digests[0])))
		},
		"layer truncated": func(t *testing.T, f folder, l *storetest.Layered) {
			truncate(t, f.blob(digest.Digest(l.Digests[0])))
		},
		"layer a link": func(t *testing.T, f folder, l *storetest.Layered) {
			path := f.blob(digest.Digest(l.Digests[0]))
			if err := errors.Join(os.Rename(path, path+"x"),
				os.Symlink(filepath.Base(path)+"x", path)); err != nil {
				t.Fatal(err)
			}
		},
		"config changed": func(t *testing.T, f folder, l *storetest.Layered) {
			spoil(t, f.blob(digest.FromBytes(l.Config)))
		},
		"manifest changed": func(t *testing.T, f folder, l *storetest.Layered) {
			spoil(t, f.blob(l.Descriptor.Digest))
		},
		"manifest missing": func(t *testing.T, f folder, l *storetest.Layered) {
			remove(t, f.blob(l.Descriptor.Digest))
		},
		"index missing": func(t *testing.T, f folder, _ *storetest.Layered) {
			remove(t, filepath.Join(f.dir, "index.json"))
		},
		"everything is new": func(t *testing.T, f folder, _ *storetest.Layered) {
			remove(t, filepath.Join(f.dir, "blobs"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := openLayout(t, t.TempDir())
			l := storetest.NewLayered(t, "base", "top")
			f.receive(t, "molecule-local/x:1", l)
			damage(t, f, l)
			f.wantGone(t, "molecule-local/x:1", l.Descriptor.Digest.String())
			f.receive(t, "molecule-local/x:1", l)
		})
	}
}

// A disk that fails says nothing about the image: who prunes must not take it for gone.
func TestFault44_LayoutUnreadable(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(blobs string) error
		want  error
	}{
		"a loop": {func(blobs string) error {
			return errors.Join(os.RemoveAll(blobs), os.Symlink("sha256", blobs))
		}, syscall.ELOOP},
		"no folder": {func(blobs string) error {
			return errors.Join(os.RemoveAll(blobs), os.WriteFile(blobs, nil, 0o600))
		}, syscall.ENOTDIR},
		"no permission": {func(blobs string) error { return os.Chmod(blobs, 0) }, syscall.EACCES},
	} {
		t.Run(name, func(t *testing.T) {
			if errors.Is(c.want, fs.ErrPermission) && os.Geteuid() <= 0 {
				t.Skip("nothing is forbidden to root")
			}
			f := openLayout(t, t.TempDir())
			l := storetest.NewLayered(t, "base")
			f.receive(t, "molecule-local/x:1", l)
			blobs := filepath.Join(f.dir, "blobs/sha256")
			t.Cleanup(func() { _ = os.Chmod(blobs, 0o700) })
			if err := c.spoil(blobs); err != nil {
				t.Fatal(err)
			}
			for _, ref := range []string{"molecule-local/x:1", l.Descriptor.Digest.String()} {
				_, err := f.Inspect(t.Context(), ref)
				wantLayoutError(t, err, c.want)
				if errors.Is(err, imagestore.ErrNotFound) {
					t.Errorf("%s is taken for gone: %v", ref, err)
				}
			}
			_, err := f.List(t.Context(), "any")
			wantLayoutError(t, err, c.want)
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 1); err != nil {
		t.Fatal(err)
	}
}

// spoil keeps the length.
func spoil(t *testing.T, path string) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ToUpper(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLayoutRefusesOtherFolders(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"somebody's folder": {"letter.txt": "dear"},
		"another version":   {"oci-layout": `{"imageLayoutVersion":"2.0.0"}`},
		"garbled layout":    {"oci-layout": `{`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := layout.Open(dir)
			wantLayoutError(t, err, layout.ErrNoLayout)
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := layout.Open(file)
	wantLayoutError(t, err, nil)
}

// A garbled index is an error for everyone, and nobody writes over it.
func TestFault45_LayoutGarbledIndex(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "{", "another schema": `{"schemaVersion":3,"manifests":[]}`, "a list": "[]",
		"manifests of another type": `{"schemaVersion":2,"manifests":{}}`,
		"another spelling":          `{"schemaVersion":2,"Manifests":[{"digest":"sha256:00"}]}`,
		"huge":                      strings.Repeat(" ", 9<<20),
	} {
		t.Run(name, func(t *testing.T) {
			f := openLayout(t, t.TempDir())
			f.receive(t, "molecule-local/x:1", storetest.NewLayered(t, "one"))
			path := filepath.Join(f.dir, "index.json")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := f.Inspect(t.Context(), "molecule-local/x:1")
			wantLayoutError(t, err, nil)
			_, err = f.List(t.Context(), "x")
			wantLayoutError(t, err, nil)
			wantLayoutError(t, receiveInto(t.Context(), f.Layout, "molecule-local/x:2",
				storetest.NewLayered(t, "two")), nil)
			if now, err := os.ReadFile(path); err != nil || string(now) != text {
				t.Errorf("the index was changed: %q, %v", now, err)
			}
		})
	}
}

// A link in the folder leads nobody out of it.
func TestFault52_LayoutLinks(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T, dir, outside string){
		"blobs": func(t *testing.T, dir, outside string) {
			link(t, outside, filepath.Join(dir, "blobs"))
		},
		"private": func(t *testing.T, dir, outside string) {
			link(t, outside, filepath.Join(dir, ".pinion"))
		},
		"lock": func(t *testing.T, dir, outside string) {
			if err := os.Mkdir(filepath.Join(dir, ".pinion"), 0o700); err != nil {
				t.Fatal(err)
			}
			link(t, filepath.Join(outside, "lock"), filepath.Join(dir, ".pinion", "index.lock"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			f := openLayout(t, t.TempDir())
			plant(t, f.dir, outside)
			wantLayoutError(t, receiveInto(t.Context(), f.Layout, "molecule-local/x:1",
				storetest.NewLayered(t, "one")), nil)
			if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
				t.Errorf("outside there is %v, %v", entries, err)
			}
		})
	}
}

func link(t *testing.T, to, from string) {
	t.Helper()
	if err := os.Symlink(to, from); err != nil {
		t.Fatal(err)
	}
}

// Fault 61: what stands in an archive or a layer never becomes a path.
func TestFault61_LayoutUnpacksNothing(t *testing.T) {
	f := openLayout(t, filepath.Join(t.TempDir(), "layout"))
	archive := storetest.Build(storetest.Spec{Tag: "molecule-local/x:1", Content: "x"})
	evil := append(slices.Clone(storetest.TarOf(t, "../escaped", []byte("x"))[:1024]),
		storetest.TarOf(t, "blobs/sha256/../../../escaped", []byte("x"))[:1024]...)
	if err := f.Load(t.Context(), bytes.NewReader(append(evil, archive.Tar...)), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Inspect(t.Context(), "molecule-local/x:1"); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(filepath.Dir(f.dir))
	if err != nil || len(entries) != 1 || len(f.blobs(t)) != 3 {
		t.Errorf("there is %v beside the folder, and %q in it; %v", entries, f.blobs(t), err)
	}
}

func TestLayoutNeedsAnEngineToPull(t *testing.T) {
	f := openLayout(t, t.TempDir())
	err := f.Pull(t.Context(), "example.com/x:1", "", nil)
	wantLayoutError(t, err, errors.ErrUnsupported)
}
