package buildkit

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
)

func TestArgsOfATree(t *testing.T) {
	files := map[string]string{
		"Dockerfile": "FROM scratch", ".runtime-version": "v1.2\n", "conf/level": "7",
		"link": "-> conf/level", "broken": "-> nowhere", "out": "-> /etc/passwd",
		"conflict": "<<<<<<< HEAD\n", "empty": "", "long": strings.Repeat("x", 10_000),
	}
	version := arg.RuntimeVersion()
	file := func(path string) arg.Rule { return arg.Rule{Name: "A", File: path} }
	for name, c := range map[string]struct {
		rule    arg.Rule
		want    string // "" for no argument
		warning string // "" for none
	}{
		"a version":          {version, "1.2", ""},
		"a file in a folder": {file("conf/level"), "7", ""},
		"a link":             {file("link"), "7", ""},
		"a broken link":      {file("broken"), "", "leads to no file"},
		"a link out of it":   {file("out"), "", "leads to no file"},
		"a folder":           {file("conf"), "", "no file"},
		"below a file":       {file("conf/level/x"), "", ""},
		"no such file":       {file("none"), "", ""},
		"no such folder":     {file("none/x"), "", ""},
		"malformed": {arg.Rule{Name: "A", File: "conflict", Version: true,
			Pattern: "[0-9]+"}, "", "conflict"},
		"empty":      {file("empty"), "", "empty"},
		"long":       {file("long"), "", "4096"},
		"a constant": {arg.Rule{Name: "A", Value: "x y"}, "x y", ""},
	} {
		t.Run(name, func(t *testing.T) {
			req := atRoot
			req.Args = []arg.Rule{c.rule}
			tree := readTree(t, workingTree(t, files), req)
			got := argValues(tree.inspection.args)
			if got[c.rule.Name] != c.want || (c.want == "") != (len(got) == 0) {
				t.Errorf("got %v", got)
			}
			warnings := strings.Join(tree.inspection.warnings, "\n")
			if (warnings == "") != (c.warning == "") || !strings.Contains(warnings, c.warning) {
				t.Errorf("warnings %q", warnings)
			}
			if c.want != "" || c.rule.File == "" {
				return
			}
			req.Args[0].Required = true
			if _, err := ReadTree(t.Context(), workingTree(t, files), req); !errors.Is(err,
				ErrRefused) {
				t.Errorf("a required one: %v", err)
			}
		})
	}
}

// A file that .dockerignore leaves out of the context is part of the digest if an argument comes
// from it.
func TestArgsAreInTheDigestOfATree(t *testing.T) {
	files := map[string]string{"Dockerfile": "FROM scratch", ".dockerignore": ".*",
		".runtime-version": "1.0"}
	dir := workingTree(t, files)
	plain, with := atRoot, atRoot
	with.Args = []arg.Rule{arg.RuntimeVersion()}
	before := []string{readTree(t, dir, plain).Digest().String(),
		readTree(t, dir, with).Digest().String()}
	put(t, dir, ".runtime-version", "1.1")
	if readTree(t, dir, plain).Digest().String() != before[0] {
		t.Error("an ignored file changes the digest")
	}
	if d := readTree(t, dir, with).Digest().String(); slices.Contains(before, d) {
		t.Error("the argument does not change the digest")
	}
}

// Arguments and proxies are all that the frontend gets, and passwords of proxies are secrets.
func TestArgsOfTheFrontend(t *testing.T) {
	b := &Builder{proxies: map[string]string{"HTTP_PROXY": "http://me:s3cr3t@proxy.example"}}
	s := &solve{builder: b}
	_, opts := s.frontendOpts(&inspection{args: []arg.Value{{Name: "V", Value: "1.2"}}})
	if opts["build-arg:V"] != "1.2" ||
		opts["build-arg:HTTP_PROXY"] != "http://me:s3cr3t@proxy.example" {
		t.Errorf("got %v", opts)
	}
	if got := b.redactor(Request{}).String(
		"at http://me:s3cr3t@proxy.example",
	); strings.Contains(got,
		"s3cr3t") {
		t.Errorf("got %q", got)
	}
}

// The default name of the Dockerfile may be in lower case, and another name may not.
func TestDockerfileInLowerCase(t *testing.T) {
	dir := workingTree(t, map[string]string{"dockerfile": "FROM scratch\n"})
	if got := readTree(t, dir, atRoot); string(got.inspection.dockerfile) != "FROM scratch\n" {
		t.Errorf("got %q", got.inspection.dockerfile)
	}
	if _, err := ReadTree(t.Context(), dir, TreeRequest{Dockerfile: "DOCKERFILE"}); !errors.Is(err,
		ErrRefused) {
		t.Errorf("error is %v", err)
	}
	put(t, dir, "Dockerfile", "FROM scratch AS upper\n")
	if got := readTree(t, dir,
		atRoot); string(got.inspection.dockerfile) != "FROM scratch AS upper\n" {
		t.Errorf("got %q", got.inspection.dockerfile)
	}
}
