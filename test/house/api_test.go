package house

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "git.moleculesai.app/molecule-ai/pinion"

var update = flag.Bool("update", false, "write the golden file anew")

// TestAPI compares what the root package exports with api.txt: names, signatures, values of
// constants, fields and their tags.
func TestAPI(t *testing.T) {
	root := load(t, module)
	got := strings.Join(exported(root), "\n") + "\n"
	file := filepath.Join(top(t), "api.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the API of the root package differs from api.txt:\n%s"+
			"A change of the API is a decision: it belongs in CHANGELOG.md, and a name that is"+
			" gone or has another signature breaks programs. `make api` writes api.txt anew.",
			difference(string(want), got))
	}
}

// TestAPINamesNothingInternal holds that callers can name every type that they are given.
func TestAPINamesNothingInternal(t *testing.T) {
	for _, line := range exported(load(t, module)) {
		if strings.Contains(line, "internal/") {
			t.Errorf("the root exports a type of an internal package: %s", line)
		}
	}
}

func TestDifference(t *testing.T) {
	if got := difference("a\nb\nc\n", "a\nc\nd\n"); got != "- b\n+ d\n" {
		t.Errorf("difference is %q", got)
	}
	if got := difference("a\nb\n", "b\na\n"); got != "the order of the lines\n" {
		t.Errorf("difference of another order is %q", got)
	}
}

// difference returns the lines that only one of two different listings has.
func difference(before, after string) string {
	old, now := strings.Split(before, "\n"), strings.Split(after, "\n")
	var out strings.Builder
	for _, line := range old {
		if !slices.Contains(now, line) {
			fmt.Fprintln(&out, "-", line)
		}
	}
	for _, line := range now {
		if !slices.Contains(old, line) {
			fmt.Fprintln(&out, "+", line)
		}
	}
	if out.Len() == 0 {
		return "the order of the lines\n"
	}
	return out.String()
}

// top returns the top folder of the module.
func top(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// load returns a package as the compiler has it.
func load(t *testing.T, importPath string) *types.Package {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps",
		"-json=ImportPath,Export", importPath)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	files := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct{ ImportPath, Export string }
		if err := dec.Decode(&pkg); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		files[pkg.ImportPath] = pkg.Export
	}
	open := func(importPath string) (io.ReadCloser, error) { return os.Open(files[importPath]) }
	pkg, err := importer.ForCompiler(token.NewFileSet(), "gc", open).Import(importPath)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// exported lists what a package exports, a line each, sorted by name. Fields stand in the order of
// the code, which is their order in JSON; methods are sorted. A type that is an alias to one of our
// packages is listed with its fields and methods, as if it were declared here.
func exported(pkg *types.Package) []string {
	l := listing{pkg: pkg, aliases: map[string]string{}}
	for _, name := range pkg.Scope().Names() {
		if obj := pkg.Scope().Lookup(name); obj.Exported() {
			l.object(obj)
		}
	}
	for i, line := range l.lines {
		for target, alias := range l.aliases {
			if !strings.HasSuffix(line, " = "+target) {
				whole := regexp.MustCompile(`\b` + regexp.QuoteMeta(target) + `\b`)
				l.lines[i] = whole.ReplaceAllString(l.lines[i], alias)
			}
		}
	}
	return l.lines
}

type listing struct {
	pkg     *types.Package
	lines   []string
	aliases map[string]string // "buildkit.TLS" -> "TLS"
}

func (l *listing) add(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// qualifier shortens an import path to the package's name, but where it is one of our internal
// ones.
func (l *listing) qualifier(pkg *types.Package) string {
	switch {
	case pkg == l.pkg:
		return ""
	case strings.HasPrefix(pkg.Path(), module) && strings.Contains(pkg.Path(), "internal/"):
		return pkg.Path()
	default:
		return pkg.Name()
	}
}

func (l *listing) text(t types.Type) string { return types.TypeString(t, l.qualifier) }

func (l *listing) object(obj types.Object) {
	switch obj := obj.(type) {
	case *types.Const:
		l.add("const %s %s = %s", obj.Name(), l.text(obj.Type()), obj.Val().ExactString())
	case *types.Var:
		l.add("var %s %s", obj.Name(), l.text(obj.Type()))
	case *types.Func:
		l.add("func %s%s", obj.Name(), l.signature(obj))
	case *types.TypeName:
		l.typeName(obj)
	}
}

func (l *listing) typeName(obj *types.TypeName) {
	name, typ := obj.Name(), types.Unalias(obj.Type())
	switch under := typ.Underlying(); {
	case obj.IsAlias():
		l.aliases[l.text(typ)] = name
		l.add("type %s = %s", name, l.text(typ))
	case is[*types.Struct](under):
		l.add("type %s struct", name)
	case is[*types.Interface](under):
		l.add("type %s interface", name)
	case l.opaque(under):
		l.add("type %s func(unexported)", name)
	default:
		l.add("type %s %s", name, l.text(under))
	}
	named, ok := typ.(*types.Named)
	if !ok || !strings.HasPrefix(named.Obj().Pkg().Path(), module) {
		return
	}
	switch under := typ.Underlying().(type) {
	case *types.Struct:
		l.fields(name, under)
	case *types.Interface:
		for m := range under.Methods() {
			l.method(name, m)
		}
	}
	methods := slices.SortedFunc(named.Methods(), func(a, b *types.Func) int {
		return strings.Compare(a.Name(), b.Name())
	})
	for _, m := range methods {
		l.method(name, m)
	}
}

func is[T types.Type](t types.Type) bool { _, ok := t.(T); return ok }

// opaque reports whether a type is a function of something unexported, as options are.
func (l *listing) opaque(t types.Type) bool {
	f, ok := t.(*types.Signature)
	if !ok || f.Params().Len() != 1 {
		return false
	}
	pointer, ok := f.Params().At(0).Type().(*types.Pointer)
	if !ok {
		return false
	}
	named, ok := pointer.Elem().(*types.Named)
	return ok && named.Obj().Pkg() == l.pkg && !named.Obj().Exported()
}

func (l *listing) fields(of string, s *types.Struct) {
	for i := range s.NumFields() {
		if f := s.Field(i); f.Exported() {
			line := fmt.Sprintf("field %s.%s %s", of, f.Name(), l.text(f.Type()))
			if f.Embedded() {
				line += " embedded"
			}
			if tag := s.Tag(i); tag != "" {
				line += " `" + tag + "`"
			}
			l.add("%s", line)
		}
	}
}

func (l *listing) method(of string, m *types.Func) {
	if !m.Exported() {
		return
	}
	if recv := m.Signature().Recv(); recv != nil {
		if _, ok := recv.Type().(*types.Pointer); ok {
			l.add("method %s.%s%s // of *%s", of, m.Name(), l.signature(m), of)
			return
		}
	}
	l.add("method %s.%s%s", of, m.Name(), l.signature(m))
}

func (l *listing) signature(f *types.Func) string {
	return strings.TrimPrefix(l.text(f.Signature()), "func")
}
