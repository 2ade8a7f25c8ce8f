package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/terminal"
)

// Each is refused before the orchestrator is opened.
func TestUsageErrors(t *testing.T) {
	sha := strings.Repeat("ab", 20)
	for want, args := range map[string]string{
		`unknown command "ensur"; did you mean ensure?`:   "ensur",
		"--build-arg: nothing from outside":               "ensure one --build-arg=a=b",
		"--push and --registry go together: ":             "ensure one --push",
		"--push and --registry go together":               "ensure one --registry x",
		"--push is for commits":                           "ensure one --push --registry x --path .",
		"no template is named: give one of autogen":       "ensure",
		"or of your config file":                          "resolve",
		"pinion resolve takes one template's name, and 2": "resolve one two",
		`unknown command "x" for "pinion ls"`:             "ls x",
		`--format "yaml": choose one of text, json`:       "ensure one --format yaml",
		`--format "text": choose one of table, json`:      "ls --format text",
		"--iidfile holds one image ID":                    "ensure one two --iidfile x",
		"--sha is a commit of one template":               "ensure one two --sha " + sha,
		"--allow-any-sha goes with --sha":                 "ensure one --allow-any-sha",
		"--sha: ":                                         "ensure one --sha abcdef",
		"--quiet prints image IDs":                        "ls -q --format table --format json",
		"--quiet shows no progress":                       "ensure one -q --progress plain",
		`--progress: progress mode "loud"`:                "ensure one --progress loud",
		"stderr is not a terminal":                        "ensure one --progress tty",
		"--host and --context both name an engine":        "ls --host unix:///x --context y",
		"--tlsdir goes without": "ls --addr tcp://x:1 --tlsdir . " +
			"--tlskey k",
		"--tlscert and --tlskey go together":              "ls --addr tcp://x:1 --tlscert c",
		"the --tls flags are for a buildkitd":             "ls --tlsservername x",
		"--keep 0: at least 1":                            "prune --keep 0",
		`--max-size "much"`:                               "prune --max-size much",
		`--max-size "0"`:                                  "prune --max-size 0",
		`--format "yaml": choose one of table, json`:      "du --format yaml",
		`--log-level "loud"`:                              "ls --log-level loud",
		`invalid argument "tcsh" for "pinion completion"`: "completion tcsh",
	} {
		got := call(t.Context(), nil, strings.Fields(args)...)
		if got.code != 64 || got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: got %+v, want %q", args, got, want)
		}
		if !strings.HasPrefix(got.stderr, "{") &&
			!strings.Contains(got.stderr, "--help` to see how it is called") {
			t.Errorf("%s: no next step in %q", args, got.stderr)
		}
	}
}

func TestProgressMode(t *testing.T) {
	for _, c := range []struct {
		flag, env string
		quiet     bool
		want      terminal.Mode
	}{
		{want: terminal.Auto},
		{env: "plain", want: terminal.Plain},
		{env: "plain", flag: "rawjson", want: terminal.RawJSON},
		{env: "plain", quiet: true, want: terminal.Quiet},
		{flag: "quiet", quiet: true, want: terminal.Quiet},
		{env: "nonsense", flag: "plain", want: terminal.Plain},
		{env: "nonsense", quiet: true, want: terminal.Quiet},
	} {
		f := ensureFlags{format: formatText, quiet: c.quiet, progress: c.flag,
			progressGiven: c.flag != ""}
		got, err := f.display(environment{progress: c.env}, 1)
		if err != nil || got.mode != c.want || got.silent != c.quiet || got.names {
			t.Errorf("%+v: got %+v, %v", c, got, err)
		}
	}
	got := callWith(t.Context(), nil, map[string]string{"BUILDKIT_PROGRESS": "nonsense"}, "ensure",
		"one")
	if got.code != 64 || !strings.Contains(got.stderr, "BUILDKIT_PROGRESS: ") {
		t.Errorf("got %+v", got)
	}
}

func TestTLSDir(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"ca.pem", "tls.crt", "key.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := (&tlsFlags{dir: dir, serverName: "x"}).files()
	if err != nil || got.CACert != filepath.Join(dir, "ca.pem") ||
		got.Cert != filepath.Join(dir, "tls.crt") ||
		got.Key != filepath.Join(dir, "key.pem") || got.ServerName != "x" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := (&tlsFlags{dir: t.TempDir()}).files(); err == nil ||
		exitCode(t.Context(), err) != 64 {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestAddressFromTheEnvironmentGetsTheTLSFlags(t *testing.T) {
	g := globalFlags{tls: tlsFlags{serverName: "x"}}
	if _, err := g.options(func(string) (string, bool) {
		return "", false
	}, environment{builder: "tcp://x:1"}); err != nil {
		t.Error(err)
	}
}
