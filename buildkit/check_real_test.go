package buildkit_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

func TestChecks(t *testing.T) { onBuilders(t, findsChecks) }

// findsChecks: what BuildKit remarks is there after a build, after one from the cache, and after
// one that fails. The BuildKit of Docker 20.10 knows no rules.
func findsChecks(t *testing.T, b *bench) {
	knowsRules := b.Info().Version != ""
	req := b.template(t, "checks", parts.Text("sub/x", ""),
		parts.Text("sub/x.Dockerfile", "FROM scratch AS Upper\nLABEL a b\nCOPY x /\n"))
	req.Subdir, req.Dockerfile = "sub", "x.Dockerfile"
	for range 2 {
		got := checksOf(&req)
		mustSolve(t, b, req)
		var found []string
		for _, c := range *got {
			found = append(found, fmt.Sprintf("%s:%d %s", c.File, c.Line, c.Rule))
			if c.Text == "" || c.Detail == "" ||
				!strings.HasPrefix(c.URL, "https://docs.docker.com/") {
				t.Errorf("got %+v", c)
			}
		}
		slices.Sort(found)
		want := []string{"x.Dockerfile:1 StageNameCasing", "x.Dockerfile:2 LegacyKeyValueFormat"}
		if knowsRules && !slices.Equal(found, want) || !knowsRules && found != nil {
			t.Errorf("found %q", found)
		}
	}
	fails := b.template(t, "checksfail",
		parts.Text("Dockerfile", "FROM scratch AS Upper\nCOPY nothing /\n"))
	got := checksOf(&fails)
	if _, _, err := solve(t, b, fails); !errors.Is(err, buildkit.ErrBuild) {
		t.Error(err)
	}
	if knowsRules && (len(*got) != 1 || (*got)[0].Rule != "StageNameCasing") {
		t.Errorf("a build that fails has %+v", *got)
	}
}

// checksOf makes a request collect its checks.
func checksOf(req *buildkit.Request) *[]buildkit.Check {
	var got []buildkit.Check
	req.OnCheck = func(c buildkit.Check) { got = append(got, c) }
	return &got
}
