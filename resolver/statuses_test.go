package resolver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// loadServers reads a config file with that list of servers.
func loadServers(t *testing.T, servers string, env map[string]string) Setup {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("servers:\n"+servers), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(LoadConfig{File: file, Lookup: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestForge: a token goes to its own host and port, and the API is found below a sub-path.
func TestForge(t *testing.T) {
	s := loadServers(t, `
  - {host: github.com, status_token_env: HUB}
  - {host: gitlab.com, status_token_env: LAB}
  - {host: "git.example:8443", forge: gitea, status_token_env: TEA}
  - {host: unset.example, forge: forgejo, status_token_env: UNSET}
  - {host: silent.example, forge: gitea}
`, map[string]string{"HUB": " hub \n", "LAB": "lab", "TEA": "tea", "UNSET": " "})
	if p := s.Catalogue.Problems(); len(p) > 0 {
		t.Fatal(p[0])
	}
	for remote, want := range map[string]string{
		"https://github.com/a/b.git":          "github hub https://github.com a/b",
		"https://github.com:443/a/b":          "github hub https://github.com:443 a/b",
		"https://gitlab.com/a/b/c":            "gitlab lab https://gitlab.com a/b/c",
		"https://git.example:8443/x/y z/a/b":  "",
		"https://git.example:8443/x/a/b":      "gitea tea https://git.example:8443/x a/b",
		"https://git.example/a/b":             "",
		"https://git.example:8443.evil.x/a/b": "",
		"https://unset.example/a/b":           "",
		"https://silent.example/a/b":          "",
		"https://sub.github.com/a/b":          "",
		"http://localhost/a/b":                "",
	} {
		r, err := git.ParseRemote(remote)
		if err != nil {
			continue // no such template can be there
		}
		f, ok := s.Forge(r)
		got := ""
		if ok {
			base, path := f.Base()
			got = strings.Join([]string{string(f.Kind), f.Token, base, path}, " ")
		}
		if got != want {
			t.Errorf("%s: %q, not %q", remote, got, want)
		}
	}
	for _, token := range []string{"hub", "lab", "tea"} {
		if !slices.Contains(s.Secrets(), token) {
			t.Errorf("%s is not redacted", token)
		}
	}
	names := s.SecretEnvs()
	slices.Sort(names)
	if want := []string{"HUB", "LAB", "TEA", "UNSET"}; !slices.Equal(names, want) {
		t.Errorf("the variables are %q", names)
	}
}

func TestForgesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ entry, word string }{
		"another kind":    {"{host: a.example, forge: svn}", "forge is one of forgejo"},
		"a token in it":   {"{host: a.example, forge: gitea, status_token_env: s3-cret}", "never"},
		"of unknown kind": {"{host: a.example, status_token_env: X}", "say what it is"},
	} {
		p := loadServers(t, "  - "+c.entry, nil).Catalogue.Problems()
		if len(p) != 1 || !strings.Contains(p[0].Error(), c.word) ||
			strings.Contains(p[0].Error(), "s3-cret") {
			t.Errorf("%s: %v", name, p)
		}
	}
}
