package server

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// clientModule is the folder of the Go client, which is a module of its own.
const clientModule = "../../../client"

// clientTypes are the structs of the client that are sent and received, by name.
func clientTypes(t *testing.T) map[string]*ast.StructType {
	t.Helper()
	path := filepath.Join(clientModule, "types.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.StructType{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				structs[spec.Name.Name] = s
			}
		}
		return true
	})
	return structs
}

// TestClientTypesAreThoseOfTheDocument compares each member of the client's types with the OpenAPI
// document, and the document's members with the client's types.
func TestClientTypesAreThoseOfTheDocument(t *testing.T) {
	c := comparison{
		t: t, document: readDocument(t), structs: clientTypes(t), seen: map[string]bool{},
	}
	schemas := c.document.root["components"].(map[string]any)["schemas"].(map[string]any)
	for _, name := range []string{"Image", "Built", "Template", "Build", "Accepted", "Event",
		"Failure", "Problem", "Wish"} {
		c.object(name, c.structs[name], schemas[name].(map[string]any))
	}
	for name := range c.structs {
		if !c.seen[name] {
			t.Errorf("the client's %s is nowhere in the document", name)
		}
	}
}

type comparison struct {
	t        *testing.T
	document *document
	structs  map[string]*ast.StructType
	seen     map[string]bool // structs by name
}

func (c *comparison) object(name string, s *ast.StructType, schema map[string]any) {
	c.t.Helper()
	if s == nil {
		c.t.Errorf("the client has no type %s", name)
		return
	}
	c.seen[name] = true
	properties, _ := schema["properties"].(map[string]any)
	members := map[string]bool{}
	for _, f := range s.Fields.List {
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			c.t.Fatal(err)
		}
		member, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		members[member] = true
		property, ok := properties[member].(map[string]any)
		if !ok {
			c.t.Errorf("%s.%s is not in the document", name, member)
			continue
		}
		c.member(name+"."+member, f.Type, property)
	}
	for member := range properties {
		if !members[member] {
			c.t.Errorf("the client's %s lacks the member %s", name, member)
		}
	}
}

func (c *comparison) member(at string, goType ast.Expr, property map[string]any) {
	c.t.Helper()
	schema, _ := c.document.resolve(c.t, property, "")
	kind := kindOf(schema)
	switch typ := goType.(type) {
	case *ast.StarExpr:
		c.member(at, typ.X, property)
	case *ast.ArrayType:
		items, ok := schema["items"].(map[string]any)
		if !ok {
			c.t.Errorf("%s is %s in the document", at, kind)
			return
		}
		c.member(at+"[]", typ.Elt, items)
	case *ast.MapType:
		values, ok := schema["additionalProperties"].(map[string]any)
		if !ok {
			c.t.Errorf("%s is %s in the document", at, kind)
			return
		}
		c.member(at+"{}", typ.Value, values)
	case *ast.SelectorExpr: // time.Time
		if schema["format"] != "date-time" {
			c.t.Errorf("%s is %s in the document", at, kind)
		}
	case *ast.Ident:
		if s := c.structs[typ.Name]; s != nil {
			c.object(typ.Name, s, schema)
			return
		}
		want := map[string]string{"string": "string", "Class": "string", "int": "integer",
			"int64": "integer", "bool": "boolean"}[typ.Name]
		if kind != want || schema["format"] == "date-time" {
			c.t.Errorf("%s is %s in the client and %s in the document", at, typ.Name, kind)
		}
	default:
		c.t.Errorf("%s has the type %T", at, goType)
	}
}

// kindOf returns the JSON type of a schema, also of one that has only an enum or a constant.
func kindOf(schema map[string]any) string {
	if kind, ok := schema["type"].(string); ok {
		return kind
	}
	value := schema["const"]
	if enum, ok := schema["enum"].([]any); ok {
		value = enum[0]
	}
	if _, ok := value.(string); ok {
		return "string"
	}
	return "integer"
}

// TestClientHasTheClassesOfTheDocument covers their messages for users as well.
func TestClientHasTheClassesOfTheDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(clientModule, "errors.go"))
	if err != nil {
		t.Fatal(err)
	}
	schemas := readDocument(t).root["components"].(map[string]any)["schemas"].(map[string]any)
	classes := schemas["Class"].(map[string]any)["enum"].([]any)
	if got := strings.Count(string(text), " Class = "); got != len(classes) {
		t.Errorf("the client has %d classes, the document %d", got, len(classes))
	}
	for _, class := range classes {
		for _, want := range []string{"Class = " + strconv.Quote(class.(string)) + "\n",
			strconv.Quote(pinion.Class(class.(string)).Message())} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the client lacks %s", want)
			}
		}
	}
}

// TestClientKnowsTheBuiltInCatalogue compares the client's list of runtimes.
func TestClientKnowsTheBuiltInCatalogue(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(clientModule, "workspaceserver", "names.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "return []string{")
	list, _, _ = strings.Cut(list, "}")
	var want []string
	for _, name := range resolver.KnownRuntimes() {
		want = append(want, strconv.Quote(name))
	}
	if got := strings.Join(strings.Fields(list), " "); got != strings.Join(want, ", ") {
		t.Errorf("the client knows %s", got)
	}
}

// buildExample builds the client's example with the client's module alone.
func buildExample(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	cmd := exec.Command("go", "build", "-o", path, "./example")
	cmd.Dir = clientModule
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// TestClientAgainstTheServer runs a program with the Go client against this server.
func TestClientAgainstTheServer(t *testing.T) {
	example := buildExample(t)
	token := strings.Repeat("t", MinToken)
	s := newStage(t, WithToken(token))
	run := func(name, token string) (stdout, stderr string, ok bool) {
		cmd := exec.Command(example, "-server", s.url, name)
		cmd.Env = append(os.Environ(), "PINION_SERVE_TOKEN="+token)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		return out.String(), errs.String(), err == nil
	}
	if out, errs, ok := run("there", token); !ok || out != "sha256:there\n" {
		t.Errorf("a hit: %q\n%s", out, errs)
	}
	if out, errs, ok := run("there", "another"); ok || out != "" ||
		!strings.HasPrefix(errs, "failed\ngeneral: there: ") {
		t.Errorf("another token: %q\n%s", out, errs)
	}
	if out, errs, ok := run("unknown", token); ok || out != "" ||
		!strings.Contains(errs, "not-found: unknown: catalogue: ") {
		t.Errorf("an unknown name: %q\n%s", out, errs)
	}
	type result struct {
		out, errs string
		ok        bool
	}
	ask := func(name string, end func(*fakeBuild)) result {
		done := make(chan result)
		go func() {
			out, errs, ok := run(name, token)
			done <- result{out, errs, ok}
		}()
		eventually(t, "a build", func() bool { return s.backend.build(name) != nil })
		b := s.backend.build(name)
		b.emit(pinion.Event{Type: pinion.EventLog, Text: "compiling"})
		end(b)
		return <-done
	}
	if r := ask("made", (*fakeBuild).finish); !r.ok || r.out != "sha256:made\n" ||
		!strings.Contains(r.errs, "resolved\n   compiling\ndone\n") {
		t.Errorf("a build: %q\n%s", r.out, r.errs)
	}
	failure := &pinion.Error{Name: "broken", Origin: pinion.OriginBuildKit,
		Err: fmt.Errorf("%w: exit code 1", pinion.ErrBuild)}
	if r := ask("broken", func(b *fakeBuild) { b.end(pinion.Image{}, failure) }); r.ok ||
		!strings.Contains(r.errs, "build: "+failure.Error()) {
		t.Errorf("a failed build: %q\n%s", r.out, r.errs)
	}
}
