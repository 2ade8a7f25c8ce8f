package layout_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/disktest"
)

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

// An image with a damaged blob is reported as missing, and can be received again.
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
			f := openLayout(t, t.TempDir())
			l := storetest.NewLayered(t, "base")
			f.receive(t, "molecule-local/x:1", l)
			blobs := filepath.Join(f.dir, "blobs/sha256")
			t.Cleanup(func() { _ = os.Chmod(blobs, 0o700) })
			if err := c.spoil(blobs); err != nil {
				t.Fatal(err)
			}
			if errors.Is(c.want, fs.ErrPermission) {
				disktest.Forbid(t, f.dir)
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

// A garbled index is an error for every operation, and is not overwritten.
func TestFault45_LayoutGarbledIndex(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "{", "another schema": `{"schemaVersion":3,"manifests":[]}`, "a list": "[]",
		"manifests of another type": `{"schemaVersion":2,"manifests":{}}`,
		"another spelling":          `{"schemaVersion":2,"Manifests":[{"digest":"sha256:00"}]}`,
		"huge":                      strings.Repeat(" ", 33<<20),
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
				t.Errorf("the index was changed: %.200q, %v", now, err)
			}
		})
	}
}
