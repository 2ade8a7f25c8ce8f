package resolver_test

import (
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
		"unset": {nil, resolver.ModeLocalBuild, "", ""},
		"empty": {map[string]string{name: ""}, resolver.ModeLocalBuild, "", ""},
		"blank": {map[string]string{name: " \t\n"}, resolver.ModeLocalBuild, "", ""},
		"set": {map[string]string{name: "ghcr.io/acme"}, resolver.ModeRegistry,
			"ghcr.io/acme", "ghcr.io/acme/workspace-template-codex:latest"},
		"with a port": {map[string]string{name: "localhost:5000/a/b"}, resolver.ModeRegistry,
			"localhost:5000/a/b", "localhost:5000/a/b/workspace-template-codex:latest"},
		"byte by byte": {map[string]string{name: " x/ "}, resolver.ModeRegistry, " x/ ",
			" x/ /workspace-template-codex:latest"},
		"another": {map[string]string{"IMAGE_REGISTRY": "x"}, resolver.ModeLocalBuild, "", ""},
	} {
		t.Run(label, func(t *testing.T) {
			got := resolver.Resolve(lookup(tc.env))
			if got.Mode != tc.mode || got.Prefix != tc.prefix ||
				got.Reference("codex") != tc.reference {
				t.Errorf("got %+v, %q", got, got.Reference("codex"))
			}
		})
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
