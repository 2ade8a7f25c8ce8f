package resolver_test

import (
	"errors"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

func lookup(env map[string]string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		value, ok := env[key]
		return value, ok
	}
}

func TestResolve(t *testing.T) {
	const name = "MOLECULE_IMAGE_REGISTRY"
	for label, tc := range map[string]struct {
		env       map[string]string
		mode      resolver.Mode
		prefix    string
		reference string
	}{
		"unset": {nil, resolver.ModeLocalBuild, "molecule-local", ""},
		"empty": {map[string]string{name: ""}, resolver.ModeLocalBuild, "molecule-local", ""},
		"blank": {map[string]string{name: " \t\n"}, resolver.ModeRegistry, " \t\n",
			" \t\n/workspace-template-codex:latest"},
		"set": {map[string]string{name: "ghcr.io/acme"}, resolver.ModeRegistry,
			"ghcr.io/acme", "ghcr.io/acme/workspace-template-codex:latest"},
		"with a port": {map[string]string{name: "localhost:5000/a/b"}, resolver.ModeRegistry,
			"localhost:5000/a/b", "localhost:5000/a/b/workspace-template-codex:latest"},
		"byte by byte": {map[string]string{name: " x/ "}, resolver.ModeRegistry, " x/ ",
			" x/ /workspace-template-codex:latest"},
		"another": {map[string]string{"IMAGE_REGISTRY": "x"}, resolver.ModeLocalBuild,
			"molecule-local", ""},
	} {
		t.Run(label, func(t *testing.T) {
			got := resolver.Resolve(lookup(tc.env))
			if got.Mode != tc.mode || got.Prefix != tc.prefix ||
				got.Reference("codex") != tc.reference {
				t.Errorf("got %+v, %q", got, got.Reference("codex"))
			}
			if err := got.Check(); (err != nil) != (label == "blank") ||
				err != nil && !errors.Is(err, resolver.ErrInvalidInput) {
				t.Errorf("the check says %v", err)
			}
		})
	}
}

func TestIsMoving(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("ab", 32)
	for ref, want := range map[string]bool{
		"r.example/x": true, "r.example/x:latest": true, "r.example:5000/x": true,
		"x:staging": true, "x:main": true, "x:dev": true, "x:edge": true, "x:nightly": true,
		"x:rolling": true,
		"x:1.2":     false, "x:sha-0123456": false, "r.example:5000/x:v1": false, "x:Latest": false,
		"x" + digest: false, "x:latest" + digest: false, "": false, "X y": false,
	} {
		if got := resolver.IsMoving(ref); got != want {
			t.Errorf("%q: %t", ref, got)
		}
	}
}

func TestKnownRuntimes(t *testing.T) {
	known := resolver.KnownRuntimes()
	if len(known) != 9 {
		t.Fatalf("got %v", known)
	}
	known[0] = "changed" // it is the caller's own
	for _, name := range resolver.KnownRuntimes() {
		if !resolver.IsKnownRuntime(name) {
			t.Errorf("%s isn't known", name)
		}
	}
	for _, name := range []string{"", "changed", "Codex", "codex ", "claude"} {
		if resolver.IsKnownRuntime(name) {
			t.Errorf("%q is known", name)
		}
	}
}

func TestFault58_ErrorText(t *testing.T) {
	err := &resolver.Error{Op: "try\x1b\u202e", Err: resolver.ErrNotFound}
	if err.Error() != `try\x1b\u202e: not found` {
		t.Errorf("got %q", err)
	}
}
