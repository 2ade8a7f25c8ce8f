package cli

import (
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

func TestRunUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		says string
	}{
		{"run", "the name of a template is missing"},
		{"run --", "the name of a template is missing"},
		{"run -- sh", "the name of a template is missing"},
		{"run one two", "pinion run one -- two"},
		{"run one two -- sh", "pinion run one -- two"},
		{"run one -it", "--tty"},
		{"run one --env =x", "--env"},
		{"run one", "no engine"}, // an image store without one
	} {
		f := twoGood()
		got := call(t.Context(), f, strings.Fields(c.args)...)
		if got.code != exitcode.Usage || got.stdout != "" ||
			!strings.Contains(got.stderr, c.says) ||
			len(f.requested) != 0 {
			t.Errorf("%s: got %+v, asked %v", c.args, got, f.requested)
		}
	}
}

func TestWorkspaceEnv(t *testing.T) {
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{"TIER": "2", "PARENT_ID": "", "WORKSPACE_ID": "ws-1",
			"MINE": "m", "PLATFORM_URL": "http://x"}[name]
		return v, ok
	}
	got, err := workspaceEnv([]string{"PLATFORM_URL=http://y", "MINE", "NOT_SET", "EMPTY="}, lookup)
	want := []string{"PLATFORM_URL=http://y", "MINE=m", "EMPTY=", "WORKSPACE_ID=ws-1", "TIER=2"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	nothing := func(string) (string, bool) { return "", false }
	a, _ := workspaceEnv(nil, nothing)
	b, _ := workspaceEnv(nil, nothing)
	if len(a) != 1 || !strings.HasPrefix(a[0], "WORKSPACE_ID=") ||
		len(a[0]) != len("WORKSPACE_ID=")+36 || a[0] == b[0] {
		t.Errorf("got %q and %q", a, b)
	}
}
