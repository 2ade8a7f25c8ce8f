package cli

import (
	"fmt"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

func TestResetWithoutATerminal(t *testing.T) {
	for args, want := range map[string][]pinion.ResetOptions{
		"reset":                   nil,
		"reset one --format json": nil,
		"reset --yes":             {{}},
		"reset -f one two":        {{Names: []string{"one", "two"}}},
		"reset --dry-run one":     {{Names: []string{"one"}, DryRun: true}},
		"reset --dry-run --yes":   {{DryRun: true}},
		"reset --legacy -f one":   {{Names: []string{"one"}, Legacy: true}},
		"reset --forget-away -f":  {{ForgetAway: true}},
	} {
		f := everything(t)
		got := call(t.Context(), f, strings.Fields(args)...)
		if fmt.Sprintf("%+v", f.resets) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: calls %+v", args, f.resets)
		}
		if want == nil && (got.code != 64 || !strings.Contains(got.stderr, "--yes")) ||
			want != nil && got.code != 0 {
			t.Errorf("%s: %+v", args, got)
		}
	}
}
