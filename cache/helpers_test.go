package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	testLine  = "sha256:aaaa"
	testStore = "unix:///var/run/docker.sock"
)

func record(key string) Record {
	return Record{
		Schema: SchemaVersion, Key: "sha256:" + key, Line: testLine, Store: testStore,
		StoreKind: "classic", Name: "claude-code",
		Reference:    "molecule-local/workspace-template-claude-code:c4ec4b2024cf",
		ImageID:      "sha256:" + strings.Repeat("12", 32),
		ConfigDigest: "sha256:" + strings.Repeat("12", 32), Revision: strings.Repeat("c4", 20),
		Ref:        "HEAD",
		Repository: "https://git.example/team/repo", Platform: "linux/amd64", Size: 517 << 20,
		BuiltAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Builder: Builder{Kind: "docker", Endpoint: testStore, Version: "29.1.0"},
	}
}

func openDir(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func put(t *testing.T, d *Dir, recs ...Record) {
	t.Helper()
	for _, rec := range recs {
		if err := d.Put(rec); err != nil {
			t.Fatal(err)
		}
	}
}

// keys returns the records' keys in order, and the number of rejected files.
func keys(t *testing.T, d *Dir) (string, int) {
	t.Helper()
	recs, rejected, err := d.Records(testLine, testStore)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, rec := range recs {
		all = append(all, strings.TrimPrefix(rec.Key, "sha256:"))
	}
	return strings.Join(all, " "), len(rejected)
}

// fileOf returns the path of a record.
func fileOf(t *testing.T, d *Dir, rec Record) string {
	t.Helper()
	name, err := rec.path()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(d.Path(), filepath.FromSlash(name))
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// files lists all files below the folder, without locks.
func files(t *testing.T, d *Dir) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(filepath.Join(d.Path(), recordsDir),
		func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				names = append(names, filepath.Base(path))
			}
			return err
		})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return fmt.Sprint(names)
}
