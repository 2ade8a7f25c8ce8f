package filelock_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

func openRoot(t *testing.T) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func open(t *testing.T, root *os.Root) *filelock.File {
	t.Helper()
	f, err := filelock.Open(root, "locks/one", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestModes(t *testing.T) {
	root := openRoot(t)
	for _, c := range []struct {
		first, second filelock.Mode
		both          bool
	}{
		{filelock.Alone, filelock.Alone, false},
		{filelock.Alone, filelock.Shared, false},
		{filelock.Shared, filelock.Alone, false},
		{filelock.Shared, filelock.Shared, true},
	} {
		a, b := open(t, root), open(t, root)
		if ok, err := a.Try(c.first); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if ok, err := b.Try(c.second); ok != c.both || err != nil {
			t.Errorf("%v: %t, %v", c, ok, err)
		}
		if !c.both {
			ended, end := context.WithCancel(t.Context())
			end()
			if err := b.Wait(ended, c.second, time.Millisecond); !errors.Is(err, context.Canceled) {
				t.Errorf("%v: %v", c, err)
			}
			got := make(chan error)
			go func() { got <- b.Wait(t.Context(), c.second, time.Millisecond) }()
			if err := errors.Join(a.Close(), <-got); err != nil {
				t.Error(err)
			}
		}
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestPermissions(t *testing.T) {
	for perm, dir := range map[fs.FileMode]fs.FileMode{0o600: 0o700, 0o644: 0o755} {
		root := openRoot(t)
		f, err := filelock.Open(root, "locks/one", perm)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for name, want := range map[string]fs.FileMode{"locks": dir, "locks/one": perm} {
			if info, err := root.Stat(name); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
	}
}

func TestFault52_LinkedLock(t *testing.T) {
	for _, name := range []string{"locks", "locks/one"} {
		root := openRoot(t)
		if err := errors.Join(root.MkdirAll(filepath.Dir(name), 0o700),
			root.MkdirAll("elsewhere", 0o700), root.WriteFile("file", nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		target := "elsewhere"
		if name != "locks" {
			target = "../file"
		}
		if err := root.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
		if _, err := filelock.Open(root, "locks/one", 0o600); !errors.Is(err, filelock.ErrLink) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
