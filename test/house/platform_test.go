package house

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTestsInDocumentsExist reads the names of tests in the documents that say what shows a
// behaviour.
func TestTestsInDocumentsExist(t *testing.T) {
	exists := testNames(t)
	named := regexp.MustCompile("`(Test[A-Z]\\w*)`")
	for doc, least := range map[string]int{
		"docs/development/platform.md": 50, "docs/adopting.md": 3,
	} {
		n := 0
		for _, m := range named.FindAllStringSubmatch(strings.Join(read(t, doc), "\n"), -1) {
			n++
			if !exists[m[1]] {
				t.Errorf("%s names %s, which does not exist", doc, m[1])
			}
		}
		if n < least {
			t.Errorf("%s names only %d tests", doc, n)
		}
	}
}

// testNames returns the names of all tests of the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(\w+ \*testing\.T\)`)
	names := map[string]bool{}
	err := fs.WalkDir(os.DirFS(docsRoot), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && strings.HasPrefix(path.Base(p), "."):
			return fs.SkipDir
		case !strings.HasSuffix(p, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(filepath.Join(docsRoot, p))
		for _, m := range declared.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
