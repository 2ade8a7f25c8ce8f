package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

func TestConfigCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.yaml")
	for name, c := range map[string]struct {
		text  string
		code  int
		words []string
	}{
		"good": {"templates:\n- {name: codex, tag: v1}\n", exitcode.OK,
			[]string{"ok", "own.yaml:2", "refs/tags/v1"}},
		"wrong": {"templates:\n- name: codex\n  brnach: x\n- {name: hermes, branch: y}\n",
			exitcode.Usage, []string{"wrong", "own.yaml:3", "write one of", "refs/heads/y"}},
		"empty":    {"", exitcode.OK, []string{"no entries"}},
		"not YAML": {"templates: [\n", exitcode.Usage, []string{"own.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"config", "check", file},
				{"--config", file, "config", "check"}} {
				r := call(t.Context(), &fake{}, args...)
				for _, word := range c.words {
					if !strings.Contains(r.stdout+r.stderr, word) {
						t.Errorf("%v: no %q in %s%s", args, word, r.stdout, r.stderr)
					}
				}
				if r.code != c.code {
					t.Errorf("%v: exit code %d: %s", args, r.code, r.stderr)
				}
			}
			if name == "not YAML" {
				return
			}
			var got struct {
				OK      bool
				Entries []struct{ Line int }
			}
			r := call(t.Context(), &fake{}, "config", "check", file, "--format", "json")
			if err := json.Unmarshal([]byte(r.stdout), &got); err != nil ||
				got.OK != (c.code == exitcode.OK) || r.code != c.code {
				t.Errorf("got %s, %v", r.stdout, err)
			}
		})
	}
	if r := call(t.Context(), &fake{}, "config", "check", file+".none"); r.code != exitcode.Usage {
		t.Errorf("a missing file: exit code %d", r.code)
	}
	if r := call(t.Context(), &fake{}, "config", "check"); r.code != exitcode.OK {
		t.Errorf("no file: exit code %d", r.code)
	}
}

func TestConfigSchema(t *testing.T) {
	r := call(t.Context(), &fake{}, "config", "schema")
	if r.code != exitcode.OK || !json.Valid([]byte(r.stdout)) {
		t.Errorf("exit code %d: %s", r.code, r.stdout)
	}
}
