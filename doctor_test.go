package pinion

import (
	"context"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// versioned is a builder of some version.
type versioned struct {
	*fakeBuilder
	info buildkit.Info
}

func (v versioned) Info() buildkit.Info { return v.info }

func TestFault56_DoctorNamesTheAdvisories(t *testing.T) {
	for _, c := range []struct {
		info buildkit.Info
		word string
	}{
		{buildkit.Info{Kind: buildkit.KindBuildkitd, Version: "v0.31.1"}, "CVE-2026-33747"},
		{buildkit.Info{Kind: buildkit.KindDocker, Version: "v0.11.0", Engine: "24.0.9"},
			"CVE-2024-21626"},
		{buildkit.Info{Kind: buildkit.KindBuildkitd, Version: "v0.34.2"}, ""},
	} {
		w := newWorld(t)
		w.connect = func(context.Context, *imagestore.Facts, string) (builder.Connection, error) {
			return builder.Connection{Builder: versioned{w.builder, c.info}}, nil
		}
		got := checkNamed(t, w.Doctor(t.Context()), "builder")
		if bad := c.word != ""; bad != (got.Status == StatusWarn) ||
			!strings.Contains(got.Detail, c.word) {
			t.Errorf("%+v: %+v", c.info, got)
		}
	}
}

func checkNamed(t *testing.T, checks []Check, name string) Check {
	t.Helper()
	i := slices.IndexFunc(checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check %q in %+v", name, checks)
	}
	return checks[i]
}

func TestDoctorOnBuilderWithoutTLS(t *testing.T) {
	w := newWorld(t)
	w.builders.Addr = "tcp://builder.example:1234"
	w.connect = func(context.Context, *imagestore.Facts, string) (builder.Connection, error) {
		return builder.Connection{Builder: versioned{w.builder, buildkit.Info{
			Kind: buildkit.KindBuildkitd, Endpoint: w.builders.Addr, Version: "v0.34.2"}}}, nil
	}
	if got := checkNamed(t, w.Doctor(t.Context()), "builder"); got.Status != StatusWarn ||
		!strings.Contains(got.Detail, "without TLS") {
		t.Errorf("%+v", got)
	}
}
