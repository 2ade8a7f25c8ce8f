package layout_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/layout"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

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

// A link in the folder does not lead out of it.
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
