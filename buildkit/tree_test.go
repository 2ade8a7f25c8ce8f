package buildkit

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// workingTree writes files, and links where the text begins with "-> ".
func workingTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		put(t, dir, name, text)
	}
	return dir
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if target, isLink := strings.CutPrefix(text, "-> "); isLink {
		err = os.Symlink(target, path)
	} else {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var atRoot = TreeRequest{Dockerfile: "Dockerfile"}

func readTree(t *testing.T, dir string, req TreeRequest) *Tree {
	t.Helper()
	tree, err := ReadTree(t.Context(), dir, req)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func paths(t *Tree) string {
	var list []string
	for _, e := range t.entries {
		list = append(list, e.path)
	}
	return strings.Join(list, " ")
}

func TestTreeDigest(t *testing.T) {
	files := map[string]string{
		"Dockerfile": "FROM scratch\nCOPY . /\n", ".dockerignore": "secret\nlogs\n", "a": "1",
		"b/c": "2", "link": "-> a",
		"secret": "s", "logs/today": "x", ".git/index": "i",
	}
	dir := workingTree(t, files)
	was := readTree(t, dir, atRoot)
	if got, want := paths(was), ".dockerignore Dockerfile a b b/c link"; got != want {
		t.Errorf("the context is %s, not %s", got, want)
	}
	if other := readTree(t, workingTree(t, files), atRoot); other.Digest() != was.Digest() {
		t.Error("the place of the tree is in its digest")
	}
	now := func() string { return readTree(t, dir, atRoot).Digest().String() }
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		what    string
		do      func() error
		differs bool
	}{
		{"nothing", func() error { return nil }, false},
		{"a time", func() error {
			return os.Chtimes(at("a"), time.Unix(1, 0), time.Unix(1, 0))
		}, false},
		{"an ignored file", func() error {
			return os.WriteFile(at("secret"), []byte("t"), 0o600)
		}, false},
		{"git's own", func() error {
			return os.WriteFile(at(".git/index"), []byte("j"), 0o600)
		}, false},
		{"a new ignored file", func() error {
			return os.WriteFile(at("logs/tomorrow"), nil, 0o600)
		}, false},
		{"content of the same length", func() error {
			return os.WriteFile(at("a"), []byte("3"), 0o600)
		}, true},
		{"a mode", func() error { return os.Chmod(at("a"), 0o755) }, true},
		{"a mode that git does not know", func() error {
			return errors.Join(os.Chmod(at("a"), 0o711), os.Chmod(at("b"), 0o700),
				os.Chmod(at("b/c"), 0o664))
		}, false},
		{"a link's target", func() error {
			return errors.Join(os.Remove(at("link")), os.Symlink("b", at("link")))
		}, true},
		{"a name", func() error { return os.Rename(at("b/c"), at("b/d")) }, true},
		{"a new folder", func() error { return os.Mkdir(at("e"), 0o755) }, true},
		{"the Dockerfile", func() error {
			return os.WriteFile(at("Dockerfile"), []byte("FROM scratch\n"), 0o600)
		}, true},
	} {
		before := now()
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		if differs := now() != before; differs != c.differs {
			t.Errorf("%s: differs %t", c.what, differs)
		}
	}
}

func TestTreeContext(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		req   TreeRequest
		want  string
	}{
		"a subdir alone": {
			map[string]string{"x/Dockerfile": "FROM scratch", "x/a": "", "x/.git/b": "", "y": ""},
			TreeRequest{Subdir: "x", Dockerfile: "Dockerfile"},
			".git .git/b Dockerfile a",
		},
		"exceptions": {
			map[string]string{"Dockerfile": "", ".dockerignore": "*\n!keep/me\n", "keep/me": "",
				"keep/not": "", "gone/x": ""}, atRoot,
			"keep keep/me",
		},
		"deep exceptions": {
			map[string]string{"Dockerfile": "", ".dockerignore": "a\n!a/b/c\n", "a/1": "",
				"a/b/c/d": "", "a/b/e": "", "a/z/y": ""}, atRoot,
			".dockerignore Dockerfile a a/b a/b/c a/b/c/d",
		},
		"the Dockerfile's own ignore file": {
			map[string]string{"d/F": "", "d/F.dockerignore": "a\n", ".dockerignore": "b\n", "a": "",
				"b": ""}, TreeRequest{Dockerfile: "d/F"},
			".dockerignore b d d/F d/F.dockerignore",
		},
		"the order that BuildKit expects": {
			map[string]string{"Dockerfile": "", "a/b": "", "a-b": "", "a.b": "", "ab": ""}, atRoot,
			"Dockerfile a a/b a-b a.b ab",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := paths(readTree(t, workingTree(t, c.files), c.req)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestFault07_TreeThatLeadsOut(t *testing.T) {
	outside := workingTree(t, map[string]string{"Dockerfile": "FROM scratch", "secret": "s"})
	for name, c := range map[string]struct {
		files map[string]string
		req   TreeRequest
		says  string
	}{
		"a Dockerfile outside": {map[string]string{"Dockerfile": "-> " + outside +
			"/Dockerfile"}, atRoot, "no such file"},
		"one above": {map[string]string{"Dockerfile": "-> ../Dockerfile"}, atRoot,
			"too many levels"},
		"a subdir outside": {map[string]string{"x": "-> " + outside},
			TreeRequest{Subdir: "x", Dockerfile: "Dockerfile"}, "symbolic link"},
		"an ignore file outside": {map[string]string{"Dockerfile": "FROM scratch",
			".dockerignore": "-> " + outside + "/secret"}, atRoot, "no such file"},
		"no Dockerfile": {map[string]string{"a": ""}, atRoot, "has no Dockerfile"},
		"an untrusted frontend": {map[string]string{"Dockerfile": "# syntax=evil/x\nFROM scratch"},
			atRoot, "frontend that is not allowed"},
		"no subdir": {map[string]string{"a": ""},
			TreeRequest{Subdir: "x", Dockerfile: "Dockerfile"}, "subdir x"},
		"a Dockerfile that is big": {map[string]string{"Dockerfile": strings.Repeat("#",
			maxDockerfile+1)}, atRoot, "more than"},
		"an ignore file that is big": {map[string]string{"Dockerfile": "FROM scratch",
			".dockerignore": strings.Repeat("#", maxDockerfile+1)}, atRoot, "more than"},
		"an ignore file that is a folder": {map[string]string{"Dockerfile": "FROM scratch",
			".dockerignore/x": ""}, atRoot, "is a folder"},
		"a Dockerfile that is a folder": {map[string]string{"Dockerfile/x": ""}, atRoot,
			"no regular file"},
		"a link to itself": {map[string]string{"Dockerfile": "-> Dockerfile"}, atRoot,
			"too many levels"},
		"a link to nothing": {map[string]string{"Dockerfile": "-> nowhere"}, atRoot,
			"no such file"},
		"no files": {nil, atRoot, "has no Dockerfile"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadTree(t.Context(), workingTree(t, c.files), c.req)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	// As on the builder, an absolute link begins at the tree's root, and none leads above it.
	for _, target := range []string{"/docker/real", "../../docker/real", "docker/../docker/real"} {
		dir := workingTree(t, map[string]string{"Dockerfile": "-> " + target,
			"docker/real": "FROM scratch"})
		if got := readTree(t, dir, atRoot).inspection.dockerfile; string(got) != "FROM scratch" {
			t.Errorf("%s leads to %q", target, got)
		}
	}
	// A link in the context stays a link, and the Dockerfile may be a link to a file in the tree.
	dir := workingTree(t, map[string]string{"Dockerfile": "-> real", "real": "FROM scratch",
		"out": "-> " + outside + "/secret"})
	if tree := readTree(t, dir, atRoot); string(tree.inspection.dockerfile) != "FROM scratch" ||
		paths(tree) != "Dockerfile out real" {
		t.Errorf("got %q, %s", tree.inspection.dockerfile, paths(tree))
	}
}

func TestReadTreeOfNoFolder(t *testing.T) {
	dir := workingTree(t, map[string]string{"Dockerfile": "FROM scratch"})
	for _, path := range []string{"", filepath.Join(dir, "Dockerfile"),
		filepath.Join(dir, "nosuch")} {
		_, err := ReadTree(t.Context(), path, atRoot)
		if s, _ := errdef.SituationOf(err); !errors.Is(err, git.ErrInvalid) ||
			errors.Is(err, ErrRefused) || s != errdef.NoWorkingTree {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// TestReadTreeByRelativePath: a later change of the working directory does not matter.
func TestReadTreeByRelativePath(t *testing.T) {
	t.Chdir(workingTree(t, map[string]string{"Dockerfile": "FROM scratch"}))
	tree := readTree(t, ".", atRoot)
	t.Chdir(t.TempDir())
	up, err := newUpload(tree)
	if err != nil {
		t.Fatal(err)
	}
	defer up.close()
	if err := send(t, up); err != nil {
		t.Error(err)
	}
}

func TestReadTreeCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ReadTree(
		ctx, workingTree(t, map[string]string{"Dockerfile": "FROM scratch"}), atRoot,
	); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestUploadSendsWhatWasRead, or fails.
func TestUploadSendsWhatWasRead(t *testing.T) {
	for name, c := range map[string]struct {
		change func(file string) error
		ok     bool
	}{
		"unchanged": {func(string) error { return nil }, true},
		"touched": {func(f string) error {
			return os.Chtimes(f, time.Unix(1, 0), time.Unix(1, 0))
		}, true},
		"written": {func(f string) error { return os.WriteFile(f, []byte("b"), 0o600) }, false},
		"longer":  {func(f string) error { return os.WriteFile(f, []byte("aa"), 0o600) }, false},
		"shorter": {func(f string) error { return os.Truncate(f, 0) }, false},
		"removed": {os.Remove, false},
		"linked": {func(f string) error {
			return errors.Join(os.Remove(f), os.Symlink("/etc/passwd", f))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := workingTree(t, map[string]string{"Dockerfile": "FROM scratch", "a": "a"})
			up, err := newUpload(readTree(t, dir, atRoot))
			if err != nil {
				t.Fatal(err)
			}
			defer up.close()
			if err := c.change(filepath.Join(dir, "a")); err != nil {
				t.Fatal(err)
			}
			if err := up.outcome(nil); err == nil {
				t.Error("nothing was sent, and nothing is amiss")
			}
			if err := send(t, up); (err == nil) != c.ok || err != nil &&
				!errors.Is(err, ErrChanged) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// send does what BuildKit's sender does: it goes on where a file cannot be opened.
func send(t *testing.T, up *upload) error {
	t.Helper()
	err := up.Walk(t.Context(), "/", func(p string, d fs.DirEntry, _ error) error {
		if !d.Type().IsRegular() {
			return nil
		}
		f, err := up.Open(p)
		if err != nil {
			return nil
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, f)
		return err
	})
	return up.outcome(err)
}

// TestPointersInATree: a clone without git-lfs has pointers, which are built with a warning.
func TestPointersInATree(t *testing.T) {
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" +
		strings.Repeat("ab", 32) + "\nsize 5\n"
	files := map[string]string{"Dockerfile": "FROM scratch\n", "a": "a", "b.bin": pointer,
		"c": pointer + strings.Repeat("x", 2000), ".dockerignore": "a0\n", "a0": pointer}
	tree := readTree(t, workingTree(t, files), atRoot)
	if w := tree.inspection.warnings; len(w) != 1 ||
		!strings.Contains(w[0], `"b.bin" is a pointer`) {
		t.Errorf("warnings %q", w)
	}
	for _, e := range tree.entries {
		if text := files[e.path]; e.size != int64(len(text)) || e.sum != digest.FromString(text) {
			t.Errorf("%s: %d bytes, %s", e.path, e.size, e.sum)
		}
	}
	files["b.bin"] = "12345"
	if w := readTree(t, workingTree(t, files), atRoot).inspection.warnings; len(w) > 0 {
		t.Errorf("with the content: warnings %q", w)
	}
}
