package house

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// docsRoot is the folder of the module.
const docsRoot = "../.."

// maxWidth is the width of prose in columns.
const maxWidth = 100

// documents returns the hand-written documents, as paths below the module's folder.
func documents(t *testing.T) (paths []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(docsRoot), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (p == "docs/reference" || p == "bin" || p != "." && p != ".github" &&
			strings.HasPrefix(p, ".")):
			return fs.SkipDir
		case path.Ext(p) == ".md":
			paths = append(paths, p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 20 {
		t.Fatalf("only %d documents", len(paths))
	}
	return paths
}

// read returns a document's lines; those of code blocks are empty.
func read(t *testing.T, document string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docsRoot, document))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	code := false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if code || fence {
			lines[i] = ""
		}
		code = code != fence
	}
	return lines
}

func TestProseIsNoWiderThan100Columns(t *testing.T) {
	for _, doc := range documents(t) {
		for i, line := range read(t, doc) {
			table := strings.HasPrefix(line, "|")
			wraps := strings.Contains(strings.TrimSpace(line), " ")
			if n := utf8.RuneCountInString(line); n > maxWidth && !table && wraps {
				t.Errorf("%s:%d has %d columns", doc, i+1, n)
			}
		}
	}
}

// TestFilesInDocumentsExist reads the names of files and packages in the documents that describe
// the code.
func TestFilesInDocumentsExist(t *testing.T) {
	quoted := regexp.MustCompile("`([a-z][\\w./-]*)`")
	rooms := "buildkit|cache|client|cmd|docs|examples|internal|resolver|test|testdata"
	top := regexp.MustCompile("^(" + rooms + ")/")
	for doc, least := range map[string]int{
		"docs/dev/request.md": 30, "docs/design.md": 15, "CONTRIBUTING.md": 10,
		"docs/receipt.md": 2, "docs/adopting.md": 8,
	} {
		n := 0
		text := strings.Join(read(t, doc), "\n")
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			if !top.MatchString(m[1]) && path.Ext(m[1]) != ".go" {
				continue
			}
			n++
			if _, err := os.Stat(filepath.Join(docsRoot, m[1])); err != nil {
				t.Errorf("%s names %s, which does not exist", doc, m[1])
			}
		}
		if n < least {
			t.Errorf("%s names only %d files", doc, n)
		}
	}
}

// TestLinksHaveTargets checks links between the documents, with the headings that they name.
func TestLinksHaveTargets(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, doc := range documents(t) {
		text := strings.Join(read(t, doc), "\n")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			to := doc
			if file != "" {
				to = path.Join(path.Dir(doc), file)
			}
			if _, err := os.Stat(filepath.Join(docsRoot, to)); err != nil {
				t.Errorf("%s links to %s, which does not exist", doc, m[1])
			} else if anchor != "" && !anchors(t, to)[anchor] {
				t.Errorf("%s links to %s, which has no such heading", doc, m[1])
			}
		}
	}
}

// anchors returns the names that forges give to a document's headings.
func anchors(t *testing.T, document string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, line := range read(t, document) {
		if title := strings.TrimLeft(line, "#"); title != line {
			names[strings.Map(func(r rune) rune {
				switch {
				case r == ' ' || r == '-':
					return '-'
				case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
					return unicode.ToLower(r)
				}
				return -1
			}, strings.TrimSpace(title))] = true
		}
	}
	return names
}
