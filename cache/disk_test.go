package cache

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/disktest"
)

// failingFile fails at one step, after half of the data.
type failingFile struct {
	*os.File
	step string
	err  error
}

func (f failingFile) Write(p []byte) (int, error) {
	if f.step != "write" {
		return f.File.Write(p)
	}
	n, _ := f.File.Write(p[:len(p)/2])
	return n, f.err
}

func (f failingFile) Sync() error {
	if f.step == "sync" {
		return f.err
	}
	return f.File.Sync()
}

func (f failingFile) Close() error {
	err := f.File.Close()
	if f.step == "close" {
		return f.err
	}
	return err
}

func TestFault44_DiskFailures(t *testing.T) {
	for _, c := range []struct {
		step string
		err  error
	}{
		{"create", syscall.EROFS},
		{"create", syscall.EACCES},
		{"create", syscall.ENOSPC},
		{"write", syscall.ENOSPC},
		{"sync", syscall.EIO},
		{"close", syscall.ENOSPC},
	} {
		t.Run(c.step+" "+c.err.Error(), func(t *testing.T) {
			d := openDir(t, t.TempDir())
			before := record("01")
			put(t, d, before)
			d.create = func(name string) (tempFile, error) {
				if c.step == "create" {
					return nil, &os.PathError{Op: "open", Path: name, Err: c.err}
				}
				f, err := os.Create(filepath.Join(d.Path(), filepath.FromSlash(name)))
				return failingFile{f, c.step, c.err}, err
			}
			after := before
			after.ImageID = "sha256:" + strings.Repeat("ff", 32)
			for _, rec := range []Record{after, record("02")} {
				var typed *Error
				if err := d.Put(rec); !errors.As(err, &typed) || !errors.Is(err, c.err) {
					t.Errorf("put: %v, want %v in an *Error", err, c.err)
				}
			}
			recs, rejected, err := d.Records(testLine, testStore)
			if err != nil || rejected != nil || len(recs) != 1 ||
				!reflect.DeepEqual(recs[0], before) {
				t.Errorf("records %+v, rejected %v, %v, want the one before", recs, rejected, err)
			}
			if got := files(t, d); strings.Contains(got, " ") {
				t.Errorf("files %s, want the record alone", got)
			}
		})
	}
}

// A file of the folder's name prevents its creation.
func TestFault44_FolderCannotBeMade(t *testing.T) {
	d := openDir(t, t.TempDir())
	write(t, filepath.Join(d.Path(), recordsDir), "")
	write(t, filepath.Join(d.Path(), locksDir), "")
	var typed *Error
	if err := d.Put(record("01")); !errors.As(err, &typed) || typed.Op != "put" {
		t.Errorf("put: %v, want an *Error", err)
	}
	if _, err := d.Lock(t.Context(), "01", 0); !errors.As(err, &typed) || typed.Op != "lock" {
		t.Errorf("lock: %v, want an *Error", err)
	}
	if _, _, err := d.Records(testLine, testStore); !errors.As(err, &typed) || typed.Op != "read" {
		t.Errorf("read: %v, want an *Error", err)
	}
}

// TestFault44_OneRecordCannotBeRead: the others of its line count.
func TestFault44_OneRecordCannotBeRead(t *testing.T) {
	d := openDir(t, t.TempDir())
	put(t, d, record("01"), record("02"))
	if err := os.Chmod(fileOf(t, d, record("01")), 0); err != nil {
		t.Fatal(err)
	}
	disktest.Forbid(t, d.Path())
	recs, rejected, err := d.Records(testLine, testStore)
	if !errors.Is(err, syscall.EACCES) || len(rejected) != 0 || len(recs) != 1 ||
		recs[0].Key != record("02").Key {
		t.Errorf("records %+v, rejected %q, error %v", recs, rejected, err)
	}
	if all, err := d.All(); err != nil || len(all) != 1 || all[0].Key != record("02").Key {
		t.Errorf("all: %+v, %v", all, err)
	}
	if recs, _, err := d.Find(testLine, testStore, record("02").Key); err != nil ||
		len(recs) != 1 {
		t.Errorf("the other one: %+v, %v", recs, err)
	}
	if _, _, err := d.Find(testLine, testStore, record("01").Key); !errors.Is(err,
		syscall.EACCES) {
		t.Errorf("that one: %v", err)
	}
}

func TestFault43_TemporaryFilesAreIgnoredAndSwept(t *testing.T) {
	d := openDir(t, t.TempDir())
	put(t, d, record("01"))
	dir := filepath.Dir(fileOf(t, d, record("01")))
	whole, err := encode(record("02"))
	if err != nil {
		t.Fatal(err)
	}
	old, young := filepath.Join(dir, tempPrefix+"old"),
		filepath.Join(dir, tempPrefix+"young"+recordSuffix)
	write(t, old, string(whole)) // killed before the rename
	write(t, young, "{")         // another process writes it now
	long := time.Now().Add(-2 * staleTemp)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	if got, rejected := keys(t, d); got != "01" || rejected != 0 {
		t.Errorf("records %s, %d rejected", got, rejected)
	}
	if all, err := d.All(); err != nil || len(all) != 1 {
		t.Errorf("all %v, %v", all, err)
	}
	put(t, d, record("03"))
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the old one stays: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("the young one is gone: %v", err)
	}
}
