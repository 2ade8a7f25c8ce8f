package envdoc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/envdoc"
)

// TestEveryVariableIsListed looks for the constants of the library, its options and the command
// line that name a variable.
func TestEveryVariableIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, v := range envdoc.Variables() {
		for name := range strings.SplitSeq(v.Name, ", ") {
			if listed[name] {
				t.Errorf("%s is listed twice", name)
			}
			listed[name] = true
		}
	}
	root := filepath.Join("..", "..", "..", "..", "..")
	found := 0
	for _, dir := range []string{root, filepath.Join(root, "resolver"),
		filepath.Join("..", "flags")} {
		for _, name := range constants(t, dir) {
			found++
			if !listed[name] {
				t.Errorf("%s is read in %s and not listed", name, dir)
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d variables were found in the sources", found)
	}
}

// constants returns the values of constants in dir that are named Env... or env....
func constants(t *testing.T, dir string) (values []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 ||
				!strings.HasPrefix(strings.ToLower(spec.Names[0].Name), "env") {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				value, _ := strconv.Unquote(lit.Value)
				values = append(values, value)
			}
			return true
		})
	}
	return values
}

func TestTextFits(t *testing.T) {
	text := envdoc.Text(envdoc.Variables())
	for line := range strings.Lines(text) {
		if len(strings.TrimSpace(line)) == 0 || len(strings.Fields(line)) > 1 &&
			len(strings.TrimRight(line, "\n")) > 100 {
			t.Errorf("the line is %d columns long: %q", len(line), line)
		}
	}
	if strings.Contains(text, "`") {
		t.Error("the text has Markdown in it")
	}
}

func TestFormats(t *testing.T) {
	vars := []envdoc.Variable{
		{Name: "ONE, TWO", Flag: "--one", Meaning: "sets `one`", Default: "`1`"},
		{Name: "THREE", Meaning: strings.Repeat("word ", 30)},
	}
	text := "  ONE,   sets one (flag --one; default: 1)\n  TWO\n  THREE  " +
		strings.Repeat("word ", 17) + "word\n" + strings.Repeat(" ", 9) +
		strings.Repeat("word ", 11) + "word"
	if got := envdoc.Text(vars); got != text {
		t.Errorf("got\n%s\nwant\n%s", got, text)
	}
	table := "| variable | flag | meaning | default |\n|---|---|---|---|\n" +
		"| `ONE`, `TWO` | `--one` | sets `one` | `1` |\n"
	if got := envdoc.Markdown(vars[:1]); got != table {
		t.Errorf("got\n%s\nwant\n%s", got, table)
	}
}
