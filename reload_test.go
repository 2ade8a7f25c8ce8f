package pinion

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

func TestReload(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("credentials:\n  - {host: one.example, token_env: ONE_TOKEN}\n")
	o, err := New(WithConfig(config), OptionsFromEnv(environment(map[string]string{
		"ONE_TOKEN": "first-secret", "TWO_TOKEN": "second-secret"})))
	if err != nil {
		t.Fatal(err)
	}
	good := "templates:\n  - {name: mine, repo: https://two.example/a/b}\n" +
		"credentials:\n  - {host: two.example, token_env: TWO_TOKEN}\n"
	write(good)
	if err := o.Reload(); err != nil {
		t.Fatal(err)
	}
	wantGood := func() {
		t.Helper()
		from := o.current.Load()
		mine, err := from.catalogue.Template("mine")
		if err != nil || from.creds.For(mine.Remote).Token != "second-secret" {
			t.Errorf("%+v, %v", mine, err)
		}
		if list := o.Templates(); !slices.ContainsFunc(list, func(r Resolution) bool {
			return r.Name == "mine"
		}) {
			t.Errorf("the templates are %v", list)
		}
	}
	wantGood()
	if got := o.Redact("first-secret second-secret"); strings.Contains(got, "secret") {
		t.Errorf("a build that began with the earlier file would show %q", got)
	}
	if got := o.builders.Secrets(); !slices.Contains(got, "TWO_TOKEN") ||
		!slices.Contains(got, "ONE_TOKEN") {
		t.Errorf("buildx sees one of the tokens; hidden are %v", got)
	}
	for name, text := range map[string]string{
		"one bad entry of two": "templates:\n  - {name: other, repo: https://x.example/a/b}\n" +
			"  - {name: mine, repo: ':'}\n",
		"no YAML": "templates: [\n",
	} {
		write(text)
		if err := o.Reload(); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%s: %v", name, err)
		}
		wantGood()
	}
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	if err := o.Reload(); !errors.Is(err, ErrInvalidInput) {
		t.Errorf("a file that is gone: %v", err)
	}
	wantGood()
}

// TestReloadDuringABuild: the build ends as it began, also if its template is gone.
func TestReloadDuringABuild(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "templates:\n  - {name: mine, repo: https://one.example/a/b, target: slim}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, WithConfig(config))
	w.builder.wait = func(context.Context) error {
		return errors.Join(os.WriteFile(config, nil, 0o600), w.Reload())
	}
	img, err := w.Ensure(t.Context(), "mine")
	if err != nil || img.Repository != "https://one.example/a/b" {
		t.Errorf("%+v, %v", img, err)
	}
	if _, err := w.Ensure(t.Context(), "mine"); !errors.Is(err, resolver.ErrUnknownTemplate) {
		t.Errorf("the next call: %v", err)
	}
}
