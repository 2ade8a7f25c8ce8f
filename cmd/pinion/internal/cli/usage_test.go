package cli

import (
	"strings"
	"testing"
)

// TestUsageErrors has wrong arguments, which are rejected before the orchestrator is opened.
func TestUsageErrors(t *testing.T) {
	sha := strings.Repeat("ab", 20)
	for want, args := range map[string]string{
		`unknown command "ensur"; did you mean ensure?`: "ensur",
		"--build-arg is not supported":                  "ensure one --build-arg=a=b",
		"--push and --registry go together: ":           "ensure one --push",
		"--push and --registry go together":             "ensure one --registry x",
		"--push excludes --path": "ensure one --push --registry x " +
			"--path .",
		"the name of a template is missing: use one of autogen": "ensure",
		"or one of your config file":                            "resolve",
		"pinion resolve takes one template's name, not 2":       "resolve one two",
		`unknown command "x" for "pinion ls"`:                   "ls x",
		`--format "yaml": choose one of text, json`:             "ensure one --format yaml",
		`--format "text": choose one of table, json`:            "ls --format text",
		"--iidfile takes the image ID of one template":          "ensure one two --iidfile x",
		"--sha is a commit of one template":                     "ensure one two --sha " + sha,
		"--allow-any-sha needs --sha":                           "ensure one --allow-any-sha",
		"--pull-request: ":                                      "ensure one --pull-request 0",
		"--pull-request is one of one template":                 "ensure one two --pull-request 7",
		"--pull-request excludes --path": "ensure one --pull-request 7 " +
			"--path .",
		"--pull-request excludes --allow-any-sha": "ensure one --pull-request 7 --allow-any-sha " +
			"--sha " + sha,
		"--pull-request excludes --cache-to": "ensure one --pull-request 7 --cache-to x.y/z",
		"--sha: ":                            "ensure one --sha abcdef",
		"--quiet prints image IDs": "ls -q --format table " +
			"--format json",
		"--quiet shows no progress":                  "ensure one -q --progress plain",
		`--progress: progress mode "loud"`:           "ensure one --progress loud",
		"stderr is not a terminal":                   "ensure one --progress tty",
		"--host and --context both choose an engine": "ls --host unix:///x --context y",
		"--tlsdir excludes": "ls --addr tcp://x:1 --tlsdir . " +
			"--tlskey k",
		"--tlscert and --tlskey go together":              "ls --addr tcp://x:1 --tlscert c",
		"the --tls flags need a buildkitd":                "ls --tlsservername x",
		"--keep 0: use at least 1":                        "prune --keep 0",
		`--max-size "much"`:                               "prune --max-size much",
		`--max-size "0"`:                                  "prune --max-size 0",
		`--max-age -1h0m0s is negative`:                   "prune --max-age -1h",
		`--max-disk-use "80"`:                             "prune --max-disk-use 80",
		`--max-disk-use "0.8%"`:                           "prune --max-disk-use 0.8%",
		`--format "yaml": choose one of table, json`:      "du --format yaml",
		`--log-level "loud"`:                              "ls --log-level loud",
		`invalid argument "tcsh" for "pinion completion"`: "completion tcsh",
	} {
		got := call(t.Context(), nil, strings.Fields(args)...)
		if got.code != 64 || got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: got %+v, want %q", args, got, want)
		}
		if !strings.HasPrefix(got.stderr, "{") &&
			!strings.Contains(got.stderr, "--help` to see its arguments and flags") {
			t.Errorf("%s: no next step in %q", args, got.stderr)
		}
	}
}

func TestProgressVariableIsChecked(t *testing.T) {
	got := callWith(t.Context(), nil, map[string]string{"BUILDKIT_PROGRESS": "nonsense"}, "ensure",
		"one")
	if got.code != 64 || !strings.Contains(got.stderr, "BUILDKIT_PROGRESS: ") {
		t.Errorf("got %+v", got)
	}
}
