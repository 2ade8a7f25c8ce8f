//go:build unix

package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestOpen(t *testing.T) {
	made := filepath.Join(t.TempDir(), "a", "b")
	d := openDir(t, made)
	if info, err := os.Stat(made); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v, want 0700", info.Mode(), err)
	}
	if d.Path() != made {
		t.Errorf("path %s, want %s", d.Path(), made)
	}
	readable := t.TempDir()
	chmod(t, readable, 0o755)
	openDir(t, readable)
	if info, err := os.Stat(readable); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v: an existing folder was changed", info.Mode(), err)
	}
}

func TestFault52_UnsafeFolders(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, path string){
		"symbolic link": func(t *testing.T, path string) { symlink(t, t.TempDir(), path) },
		"file":          func(t *testing.T, path string) { write(t, path, "") },
		"writable by others": func(t *testing.T, path string) {
			mkdir(t, path)
			chmod(t, path, 0o777)
		},
		"writable by the group": func(t *testing.T, path string) {
			mkdir(t, path)
			chmod(t, path, 0o770)
		},
		"of another user": func(t *testing.T, path string) {
			mkdir(t, path)
			if err := os.Chown(path, 65534, -1); err != nil {
				t.Skip("only root can give a folder away:", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cache")
			make(t, path)
			_, err := Open(path)
			var typed *Error
			if !errors.As(err, &typed) || typed.Op != "open" {
				t.Fatalf("open: %v, want an *Error", err)
			}
			if name != "file" && !errors.Is(err, ErrInsecure) {
				t.Errorf("open: %v, want ErrInsecure", err)
			}
		})
	}
}

// Links in the folder, by a user who could write to it once, are not followed.
func TestFault52_SymlinksInside(t *testing.T) {
	rec := record("01")
	for _, planted := range []string{"records", "records/aaaa", "records/aaaa/STORE",
		"records/aaaa/STORE/RECORD", "locks", "locks/01.lock"} {
		t.Run(planted, func(t *testing.T) {
			d := openDir(t, t.TempDir())
			outside := t.TempDir()
			victim := filepath.Join(outside, "victim")
			write(t, victim, "precious")
			plant(t, d, planted, outside, victim)

			_ = d.Put(rec)
			_ = d.Forget(rec)
			if unlock, err := d.Lock(t.Context(), "01", 0); err == nil {
				unlock()
			} else if filepath.Dir(planted) == "locks" && !errors.Is(err, ErrInsecure) &&
				!errors.Is(err, fs.ErrExist) {
				t.Logf("lock: %v", err)
			}
			_, _, _ = d.Records(testLine, testStore)
			_, _ = d.All()
			entries, err := os.ReadDir(outside)
			if err != nil || len(entries) != 1 {
				t.Errorf("outside: %v, %v, want the victim alone", entries, err)
			}
			if content, err := os.ReadFile(victim); err != nil || string(content) != "precious" {
				t.Errorf("victim: %q, %v", content, err)
			}
		})
	}
}

// plant replaces a folder or a file by a link.
func plant(t *testing.T, d *Dir, where, outside, victim string) {
	t.Helper()
	path := fileOf(t, d, record("01"))
	target := outside
	switch where {
	case "records/aaaa/STORE/RECORD":
		target = victim
	case "records/aaaa/STORE":
		path = filepath.Dir(path)
	case "locks/01.lock":
		path, target = filepath.Join(d.Path(), "locks", "01.lock"), victim
	default:
		path = filepath.Join(d.Path(), where)
	}
	mkdir(t, filepath.Dir(path))
	symlink(t, target, path)
}

// A lock must not be taken through a link, even to a file in the folder.
func TestFault52_LockOnLinkInside(t *testing.T) {
	d := openDir(t, t.TempDir())
	write(t, filepath.Join(d.Path(), "locks", "other"), "")
	symlink(t, "other", filepath.Join(d.Path(), "locks", "01.lock"))
	if _, err := d.Lock(t.Context(), "01", 0); !errors.Is(err, ErrInsecure) {
		t.Errorf("lock: %v, want ErrInsecure", err)
	}
}

// Opening a pipe would block for ever.
func TestFault52_PipeInside(t *testing.T) {
	d := openDir(t, t.TempDir())
	path := fileOf(t, d, record("01"))
	mkdir(t, filepath.Dir(path))
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if got, rejected := keys(t, d); got != "" || rejected != 1 {
			t.Errorf("records %s, %d rejected", got, rejected)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("reading a pipe blocks")
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
