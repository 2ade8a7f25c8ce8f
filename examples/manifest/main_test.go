package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

const sha = "0123456789abcdef0123456789abcdef01234567"

func TestConvert(t *testing.T) {
	var out strings.Builder
	err := convert(strings.NewReader(`{"version": 1, "plugins": [{"name": "x", "repo": "o/x"}],
		"workspace_templates": [
		{"name": "claude-code-default", "ref": "`+sha+`",
		 "repo": "molecule-ai/molecule-ai-workspace-template-claude-code"},
		{"name": "own", "repo": "acme/own", "ref": "main", "provider": "github", "private": true}
	]}`), &out)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := resolver.NewCatalogue("")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddFile(file); err != nil {
		t.Fatalf("%v in:\n%s", err, &out)
	}
	claude, err := c.Template("claude-code")
	if err != nil || claude.Revision.String() != sha || len(claude.Args) != 1 ||
		claude.Remote.String() != resolver.DefaultRepoPrefix+"claude-code" {
		t.Errorf("got %+v, %v", claude, err)
	}
	own, err := c.Template("own")
	if err != nil || own.Ref.Branch() != "main" ||
		own.Remote.String() != "https://github.com/acme/own" {
		t.Errorf("got %+v, %v", own, err)
	}
}

func TestConvertRefuses(t *testing.T) {
	for _, text := range []string{"no JSON",
		`{"workspace_templates": [{"repo": "a/b", "ref": "main", "provider": "other"}]}`} {
		if err := convert(strings.NewReader(text), &strings.Builder{}); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
