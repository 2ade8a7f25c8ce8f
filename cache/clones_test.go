package cache

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const clonedCommit = "0123456789abcdef0123456789abcdef01234567"

// addClone makes files as git clone does, as far as they matter.
func addClone(t *testing.T, folder, head, ref string) {
	t.Helper()
	for name, content := range map[string]string{
		".git/HEAD": head, ".git/refs/heads/main": ref, "Dockerfile": "FROM scratch\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClones: what is not in all respects a clone of the commit that the folder names is left
// alone.
func TestClones(t *testing.T) {
	const branch = "ref: refs/heads/main\n"
	short := clonedCommit[:12]
	d := openDir(t, filepath.Join(t.TempDir(), "cache"))
	at := func(parts ...string) string {
		return filepath.Join(append([]string{d.Path()}, parts...)...)
	}
	addClone(t, at("hermes", short), branch, clonedCommit+"\n")
	addClone(t, at("codex", short), clonedCommit+"\n", "")
	addClone(t, at("mine", short), branch, clonedCommit)
	addClone(t, at("hermes", "0123456789ab.bak"), branch, clonedCommit)
	addClone(t, at("hermes", clonedCommit), branch, clonedCommit)
	addClone(t, at("hermes", "111111111111"), branch, clonedCommit) // somebody committed
	addClone(t, at("hermes", "222222222222"), "ref: ../../x\n", clonedCommit)
	addClone(t, at("hermes", "333333333333"), "333333333333\n", "")
	if err := os.Symlink(at("codex", short), at("hermes", "444444444444")); err != nil {
		t.Fatal(err)
	}
	put(t, d, record("11"))
	known := func(name string) bool { return name != "mine" }
	clones, err := d.Clones(known)
	if err != nil || len(clones) != 2 {
		t.Fatalf("%+v, %v", clones, err)
	}
	for i, name := range []string{"codex", "hermes"} {
		if c := clones[i]; c.Name != name || c.Commit != short || c.Path != at(name, short) ||
			c.Size <= int64(len(clonedCommit)) {
			t.Errorf("%+v", c)
		}
		if err := d.RemoveClone(clones[i]); err != nil {
			t.Error(err)
		}
		if err := d.RemoveClone(clones[i]); err == nil {
			t.Error("removed twice")
		}
	}
	var left []string
	for _, pattern := range []string{"codex", "hermes/*", "mine/*", "records/*"} {
		found, err := filepath.Glob(at(pattern))
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, found...)
	}
	if len(left) != 8 || strings.Contains(strings.Join(left, " "), "codex") {
		t.Errorf("left are %q", left)
	}
}
