package house

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTroubles: what the table of troubles quotes as Pinion's words is in the source, where "..."
// stands for what differs; each row says whose fault it is; and each exit code of a failure is
// there.
func TestTroubles(t *testing.T) {
	sides := []string{"template", "git server", "registry", "network", "builder", "engine",
		"configuration", "nobody's"}
	rows := troubles(t)
	if len(rows) < 30 {
		t.Fatalf("only %d rows", len(rows))
	}
	source := words(t)
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, row := range rows {
		if len(row) != 3 || !slices.Contains(sides, row[1]) {
			t.Errorf("no row of three cells, with one of %q: %q", sides, row)
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(row[0], -1) {
			for piece := range strings.SplitSeq(m[1], "...") {
				if !strings.Contains(source, strings.TrimSpace(piece)) {
					t.Errorf("%q of %q is not in the source", piece, row[0])
				}
			}
		}
	}
	codes, err := os.ReadFile(filepath.Join(docsRoot, "docs/reference/pinion_exit-codes.md"))
	if err != nil {
		t.Fatal(err)
	}
	failures := regexp.MustCompile(`(?m)^   (\d\d)  `).FindAllStringSubmatch(string(codes), -1)
	for _, m := range failures {
		if !slices.ContainsFunc(rows, func(row []string) bool {
			return strings.Contains(row[0], "("+m[1])
		}) {
			t.Errorf("no row has the exit code %s", m[1])
		}
	}
	if len(failures) != 9 {
		t.Errorf("%d exit codes of failures", len(failures))
	}
}

// troubles returns the cells of the table's rows.
func troubles(t *testing.T) (rows [][]string) {
	t.Helper()
	const title = "## Troubleshooting"
	lines := read(t, "docs/development/local-development.md")
	for _, line := range lines[slices.Index(lines, title)+1:] {
		row, isRow := strings.CutPrefix(line, "| ")
		switch {
		case strings.HasPrefix(line, "#"):
			return rows[1:] // without the head
		case isRow:
			rows = append(rows, strings.Split(strings.TrimSuffix(row, " |"), " | "))
		}
	}
	return rows
}

// words returns the source of the product, with string literals that are split over lines joined.
func words(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := fs.WalkDir(os.DirFS(docsRoot), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (p == "test" || p != "." && strings.HasPrefix(path.Base(p), ".")):
			return fs.SkipDir
		case path.Ext(p) != ".go" || strings.HasSuffix(p, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(filepath.Join(docsRoot, filepath.FromSlash(p)))
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile("[\"`]\\s*\\+\\s*[\"`]").ReplaceAllString(all.String(), "")
}
