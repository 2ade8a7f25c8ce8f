package buildkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	fstypes "github.com/tonistiigi/fsutil/types"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// sized is a local folder that tells sizes and counts questions, as a builder does.
type sized struct {
	folder
	asked int
}

func (s *sized) ReadDir(
	ctx context.Context, req gateway.ReadDirRequest,
) ([]*fstypes.Stat, error) {
	s.asked++
	list, err := s.folder.ReadDir(ctx, req)
	for _, st := range list {
		if info, err := s.root.Lstat(filepath.Join(req.Path, st.Path)); err == nil {
			st.Mode, st.Size = uint32(info.Mode()), info.Size()
		}
	}
	return list, err
}

func (s *sized) ReadFile(ctx context.Context, req gateway.ReadRequest) ([]byte, error) {
	s.asked++
	return s.folder.ReadFile(ctx, req)
}

func findIn(t *testing.T, dir string) (found []string, asked int, err error) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	tree := &sized{folder: folder{root}}
	co := &checkout{tree: newListed(tree)}
	files, _, err := findLFS(t.Context(), co, Request{}, nil)
	for _, f := range files {
		found = append(found, f.path)
	}
	return found, tree.asked, err
}

// TestFindLFSAsksOnce: a folder is one question, and so is each attributes file and each small file
// that is in Git LFS.
func TestFindLFSAsksOnce(t *testing.T) {
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" +
		strings.Repeat("ab", 32) + "\nsize 5\n"
	dir := workingTree(t, map[string]string{".gitattributes": "*.bin filter=lfs\n",
		"a/x.bin": pointer, "a/large.bin": strings.Repeat("x", git.MaxLFSPointer),
		"a/b/y.txt": pointer, "a.bin": pointer, "c/z.bin": "plain", ".git/x.bin": pointer,
		"c/.gitattributes": "-> ../a/large.bin"})
	found, asked, err := findIn(t, dir)
	want := []string{"a/x.bin", "a.bin"}
	if err != nil || !slices.Equal(found, want) || asked != 8 {
		t.Errorf("%q after %d questions, %v", found, asked, err)
	}
}

func TestFindLFSHasBounds(t *testing.T) {
	files := map[string]string{".gitattributes": "*.bin filter=lfs\n"}
	for i := range maxLFSFiles + 1 {
		files[fmt.Sprintf("%d.bin", i)] = "x"
	}
	if _, _, err := findIn(t, workingTree(t, files)); !errors.Is(err, ErrRefused) ||
		!strings.Contains(err.Error(), "more than 5000 files") {
		t.Errorf("too many files: %v", err)
	}
}

// TestExtendedPointer: what an extension of git-lfs made of a file is not the file.
func TestExtendedPointer(t *testing.T) {
	dir := workingTree(t, map[string]string{".gitattributes": "*.bin filter=lfs\n",
		"a.bin": "version https://git-lfs.github.com/spec/v1\next-0-x sha256:" +
			strings.Repeat("cd", 32) + "\noid sha256:" + strings.Repeat("ab", 32) + "\nsize 5\n"})
	if _, _, err := findIn(t, dir); !errors.Is(err, ErrRefused) ||
		!strings.Contains(err.Error(), "extension") {
		t.Errorf("got %v", err)
	}
}
