package buildkit

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// TestGitlinks reads what git writes, with files before, between and behind, of names of all
// lengths.
func TestGitlinks(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	for _, format := range []git.ObjectFormat{git.SHA1, git.SHA256} {
		dir := t.TempDir()
		run := func(args ...string) {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), "git", args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("git %v: %v: %s", args, err, out)
			}
		}
		run("init", "-q", "--object-format="+string(format))
		want := map[string]git.Revision{}
		for n := 1; n < 20; n++ {
			name := "m" + strings.Repeat("x", n)
			id := strings.Repeat("0", format.Digits()-2) + "a" + string(rune('a'+n%6))
			run("update-index", "--add", "--cacheinfo", "160000,"+id+",sub/"+name)
			file := filepath.Join(dir, "f"+strings.Repeat("y", n))
			if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
				t.Fatal(err)
			}
			run("add", filepath.Base(file))
			rev, err := git.ParseRevision(id)
			if err != nil {
				t.Fatal(err)
			}
			want["sub/"+name] = rev
		}
		check := func(what string) []byte {
			t.Helper()
			index, err := os.ReadFile(filepath.Join(dir, ".git", "index"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := gitlinks(index, format)
			if err != nil || !maps.Equal(got, want) {
				t.Errorf("%s, %s: %v, %v", format, what, got, err)
			}
			return index
		}
		index := check("version 2")
		for n := range index[:len(index)-format.Digits()/2] { // the checksum is not read
			if _, err := gitlinks(index[:n], format); err == nil && n < len(index)/2 {
				t.Fatalf("%s: %d of %d bytes are taken for an index", format, n, len(index))
			}
		}
		late := filepath.Join(dir, "late")
		if err := os.WriteFile(late, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		run("add", "--intent-to-add", "late")
		check("version 3")
		run("update-index", "--index-version", "4")
		index, err := os.ReadFile(filepath.Join(dir, ".git", "index"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := gitlinks(index, format); err == nil ||
			!strings.Contains(err.Error(), "version 4") {
			t.Errorf("version 4: %v", err)
		}
	}
}
