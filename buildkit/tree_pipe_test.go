//go:build unix

package buildkit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// replaceByPipe replaces a file by a pipe. An ordinary open of it blocks forever.
func replaceByPipe(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestPipeWhereTheDockerfileWas(t *testing.T) {
	for _, name := range []string{"Dockerfile", ".dockerignore"} {
		dir := workingTree(t, map[string]string{"Dockerfile": "FROM scratch", ".dockerignore": "x"})
		replaceByPipe(t, filepath.Join(dir, name))
		if _, err := ReadTree(t.Context(), dir, atRoot); !errors.Is(err, ErrRefused) ||
			!strings.Contains(err.Error(), errNoFile.Error()) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestPipeWhereAFileWas(t *testing.T) {
	dir := workingTree(t, map[string]string{"Dockerfile": "FROM scratch", "a": "a"})
	up, err := newUpload(readTree(t, dir, atRoot))
	if err != nil {
		t.Fatal(err)
	}
	defer up.close()
	replaceByPipe(t, filepath.Join(dir, "a"))
	if err := send(t, up); !errors.Is(err, ErrChanged) || !errors.Is(err, errNoFile) {
		t.Errorf("got %v", err)
	}
}

// TestPipeWhileWalking: what was a file or a folder when its folder was read is a pipe when it is
// opened.
func TestPipeWhileWalking(t *testing.T) {
	dir := workingTree(t, map[string]string{"a": "a"})
	replaceByPipe(t, filepath.Join(dir, "a"))
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	w := contextWalk{root: root}
	if _, _, err := w.content("a"); !errors.Is(err, errNoFile) {
		t.Errorf("got %v", err)
	}
	if _, err := readDir(root, "a"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v", err)
	}
}
