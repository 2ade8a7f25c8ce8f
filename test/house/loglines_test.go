package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLogLines compares the log lines that programs look for with testdata/loglines.txt. They start
// with "local-build:" or "Provisioner:". Parts that are computed count as {}.
func TestLogLines(t *testing.T) {
	var lines []string
	for _, file := range sources(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			expr, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, ok := template(expr)
			if !ok {
				return true
			}
			if strings.HasPrefix(text, "local-build:") || strings.HasPrefix(text, "Provisioner:") {
				lines = append(lines, text)
			}
			return false
		})
	}
	slices.Sort(lines)
	got := strings.Join(slices.Compact(lines), "\n") + "\n"
	golden := filepath.Join("testdata", "loglines.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("log lines differ from %s:\n%sPrograms may look for them. -update writes the"+
			" file anew.", golden, difference(string(want), got))
	}
}

// template returns the text of a string literal, or of a sum that begins with one.
func template(expr ast.Expr) (text string, ok bool) {
	switch expr := expr.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(expr.Value)
		return text, err == nil && expr.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := template(expr.X)
		if !ok || expr.Op != token.ADD {
			return "", false
		}
		right, ok := template(expr.Y)
		if !ok {
			right = "{}"
		}
		return left + right, true
	default:
		return "", false
	}
}

// sources returns the product's Go files without the tests.
func sources(t *testing.T) []string {
	t.Helper()
	var files []string
	base := top(t)
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != base && (strings.HasPrefix(d.Name(), ".") ||
			path == filepath.Join(base, "test")):
			return fs.SkipDir
		case filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
