package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	pinionresolver "git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func everything(t *testing.T) *fake {
	t.Helper()
	sha := "c4ec4b2024cf5f7c0e9d2a1b3c4d5e6f708192a3"
	rev, err := git.ParseRevision(sha)
	if err != nil {
		t.Fatal(err)
	}
	f := twoGood()
	f.answer = pinion.Resolution{
		Name: "one", Mode: pinionresolver.ModeLocalBuild, Reference: image("one").Reference,
		Repository: "https://git.example/one", Ref: "refs/heads/main", Revision: rev,
	}
	f.built = []pinion.Built{
		{
			Name: "claude-code", Reference: image("claude-code").Reference, ImageID: "sha256:" +
				strings.Repeat("0123456789abcdef", 4),
			Revision: sha, Platform: "linux/amd64", Size: 517_400_000,
			BuiltAt: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC),
		},
		{
			Name: "one", Reference: image("one").Reference, ImageID: "sha256:" +
				strings.Repeat("f", 64),
			Revision: sha, Platform: "linux/amd64", Size: 7_340_032,
			BuiltAt: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		},
	}
	f.pruned = pinion.PruneReport{
		Items: []pinion.PruneItem{
			{Built: f.built[0], Action: pinion.PruneKept,
				Reason: "among the newest 2 of its template"},
			{Built: f.built[1], Action: pinion.PruneKept,
				Reason: "the container web\x1b[31m uses it"},
			{Built: f.built[1], Action: pinion.PruneRemoved,
				Reason: "not among the newest 2 of its template", Reclaimed: f.built[1].Size},
			{Built: pinion.Built{Name: "one", ImageID: "sha256:" + strings.Repeat("e", 64),
				Revision: sha}, Action: pinion.PruneForgotten,
				Reason: "the image is no longer in the image store"},
		},
		Reclaimed: f.built[1].Size, Remaining: f.built[0].Size + f.built[1].Size,
	}
	f.clones = []pinion.Clone{{Name: "one", Path: "/cache/one/c4ec4b2024cf",
		Commit: "c4ec4b2024cf", Size: 12_345}}
	f.usage = pinion.DiskUsage{
		Templates: []pinion.TemplateUsage{
			{Name: "claude-code", Repository: "https://git.example/one", Platform: "linux/amd64",
				Images: 3, InUse: 1, Size: 1_552_200_000, Reclaimable: 517_400_000},
			{Name: "one", Repository: "https://git.example/one", Platform: "linux/arm64", Images: 1,
				Size: 7_340_032},
		},
		Unverified: 1, Size: 1_600_000_000, Reclaimable: 557_859_968,
	}
	f.checks = []pinion.Check{
		{Name: "mode", Status: pinion.StatusOK, Detail: "local-build"},
		{Name: "cache folder", Status: pinion.StatusWarn, Detail: "cannot be\n\twritten"},
		{Name: "engine", Status: pinion.StatusFail, Detail: "does not answer",
			Err: pinion.ErrStore},
	}
	return f
}

func TestVerbsOutput(t *testing.T) {
	for file, c := range map[string]struct {
		args string
		code int
	}{
		"resolve.txt":     {"resolve one", 0},
		"resolve.json":    {"resolve one --format json", 0},
		"ls.txt":          {"ls", 0},
		"ls-no-trunc.txt": {"ls --no-trunc", 0},
		"ls-quiet.txt":    {"ls -q", 0},
		"ls.json":         {"ls --format json", 0},
		"prune.txt":       {"prune --max-size 1MB", 0},
		"prune-dry.txt":   {"prune --dry-run --max-size 600MiB", 0},
		"prune.json":      {"prune --format json", 0},
		"reset.txt":       {"reset --yes one", 0},
		"reset.json":      {"reset --dry-run --format json", 0},
		"legacy.txt":      {"reset --yes --legacy", 0},
		"legacy.json":     {"reset --yes --legacy --format json", 0},
		"du.txt":          {"du", 0},
		"du.json":         {"du --format json", 0},
		"help-prune.txt":  {"help prune", 0},
		"doctor.txt":      {"doctor", 14},
		"doctor.json":     {"doctor --format json", 14},
		"help.txt":        {"--help", 0},
		"exit-codes.txt":  {"help exit-codes", 0},
		"help-ensure.txt": {"help ensure", 0},
	} {
		t.Run(file, func(t *testing.T) {
			got := call(t.Context(), everything(t), strings.Fields(c.args)...)
			if got.code != c.code || got.stderr != "" {
				t.Errorf("code %d, stderr %q", got.code, got.stderr)
			}
			golden(t, file, got.stdout)
		})
	}
}

func TestResolveInRegistryModeOmitsEmptyFields(t *testing.T) {
	f := twoGood()
	f.answer = pinion.Resolution{Name: "one", Mode: pinionresolver.ModeRegistry,
		Reference: "reg/one:latest"}
	want := "Name:       one\nMode:       registry\nReference:  reg/one:latest\n"
	if got := call(t.Context(), f, "resolve", "one"); got.stdout != want {
		t.Errorf("got %q, want %q", got.stdout, want)
	}
}

func TestDoctorExitCodes(t *testing.T) {
	bad := func(err error) pinion.Check { return pinion.Check{Status: pinion.StatusFail, Err: err} }
	for _, c := range []struct {
		checks []pinion.Check
		want   int
	}{
		{nil, 0},
		{[]pinion.Check{{Name: "engine", Status: pinion.StatusWarn}}, 0},
		{[]pinion.Check{bad(pinion.ErrUnavailable), bad(pinion.ErrStore)}, 12},
		{[]pinion.Check{bad(pinion.ErrStore), bad(pinion.ErrUnauthorized)}, 14},
		{[]pinion.Check{bad(pinion.ErrNoBuilder)}, 13},
		{[]pinion.Check{bad(pinion.ErrUnauthorized)}, 11},
		{[]pinion.Check{bad(pinion.ErrPlatform)}, 13},
		{[]pinion.Check{bad(nil)}, 1},
	} {
		if got := call(t.Context(), &fake{checks: c.checks}, "doctor"); got.code != c.want {
			t.Errorf("%v: got %d, want %d", c.checks, got.code, c.want)
		}
	}
}

func TestVersion(t *testing.T) {
	if got := call(t.Context(), nil, "version"); got.code != 0 ||
		!strings.HasPrefix(got.stdout, "pinion v1.2.3 (") {
		t.Errorf("got %+v", got)
	}
	if got := call(
		t.Context(), nil, "version", "--format=json",
	); !strings.HasPrefix(got.stdout, `{"schema":1,"version":"v1.2.3",`) {
		t.Errorf("got %+v", got)
	}
	if got := versionOf("").Version; got == "" {
		t.Error("no version without the linker's")
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := call(t.Context(), nil, "completion", shell); got.code != 0 ||
			!strings.Contains(got.stdout, "pinion") {
			t.Errorf("%s: code %d, %d bytes", shell, got.code, len(got.stdout))
		}
	}
	builders := t.TempDir()
	instances := filepath.Join(builders, "instances")
	if err := errors.Join(os.Mkdir(instances, 0o700), os.WriteFile(filepath.Join(instances, "far"),
		[]byte(`{"Name":"far","Nodes":[{"Name":"far0"}]}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"ensure ":             "one two :4",
		"ensure one ":         "two :4",
		"resolve one ":        ":4",
		"ensure --format ":    "text json :4",
		"completion ":         "bash zsh fish powershell :4",
		"ensure --log-level ": "debug info warn error :4",
		"ensure --store ":     "docker oci: :6",
		"ensure --store oci:": ":16",
		"ensure --cache ":     "auto off local registry: :4",
		"ensure --platform ":  "native linux/amd64 linux/arm64 :4",
		"ensure --builder ":   "managed far :4",
		"serve --warm ":       "one two :4",
		"doctor ":             "one two :4",
	} {
		got := callWith(t.Context(), twoGood(), map[string]string{"BUILDX_CONFIG": builders},
			append([]string{"__complete"}, strings.Split(args, " ")...)...)
		if strings.Join(strings.Fields(got.stdout), " ") != want {
			t.Errorf("%q: got %q, want %q", args, got.stdout, want)
		}
	}
}

func TestPruneLimits(t *testing.T) {
	for args, want := range map[string]pinion.PruneOptions{
		"prune":                            {Keep: 2},
		"prune --keep 1 --dry-run":         {Keep: 1, DryRun: true},
		"prune --max-size 20GB":            {Keep: 2, MaxSize: 20_000_000_000},
		"prune --max-size 1.5gib --keep 3": {Keep: 3, MaxSize: 3 << 29},
		"prune --max-age 720h":             {Keep: 2, MaxAge: 720 * time.Hour},
		"prune --max-disk-use 80%":         {Keep: 2, MaxDiskUse: 0.8},
	} {
		f := everything(t)
		if got := call(t.Context(), f, strings.Fields(args)...); got.code != 0 ||
			len(f.limits) != 1 || f.limits[0] != want {
			t.Errorf("%s: got %+v, asked for %+v", args, got, f.limits)
		}
	}
}

// TestPruneThatIsRefused: a store that lets no image go is a failure of the store.
func TestPruneThatIsRefused(t *testing.T) {
	kept := pinion.PruneItem{Action: pinion.PruneKept, Reason: "the newest"}
	refused := pinion.PruneItem{Action: pinion.PruneKept, Reason: "read-only", Refused: true}
	for name, c := range map[string]struct {
		items []pinion.PruneItem
		code  int
	}{
		"nothing to remove": {[]pinion.PruneItem{kept}, 0},
		"none":              {[]pinion.PruneItem{kept, refused, refused}, 14},
		"some":              {[]pinion.PruneItem{refused, {Action: pinion.PruneRemoved}}, 0},
	} {
		f := everything(t)
		f.pruned = pinion.PruneReport{Items: c.items}
		got := call(t.Context(), f, "prune")
		if got.code != c.code || !strings.Contains(got.stdout, "kept") ||
			strings.Contains(got.stderr, "(2) could be removed") != (c.code != 0) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPrunePrintsRemovalsBeforeAFailure(t *testing.T) {
	f := everything(t)
	f.err = &pinion.Error{Origin: pinion.OriginDocker, Err: pinion.ErrStore}
	got := call(t.Context(), f, "prune")
	if got.code != 14 || got.stderr == "" || !strings.Contains(got.stdout, "removed") {
		t.Errorf("got %+v", got)
	}
	f.pruned.Items = nil
	if got := call(t.Context(), f, "prune"); got.code != 14 || got.stdout != "" {
		t.Errorf("got %+v", got)
	}
}

func TestVersionFlag(t *testing.T) {
	want := call(t.Context(), nil, "version")
	if got := call(t.Context(), nil, "--version"); got != want || got.code != 0 {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestDoctorOfATemplate: it is looked up as ensure does.
func TestDoctorOfATemplate(t *testing.T) {
	f := everything(t)
	f.checks = nil
	if got := call(t.Context(), f, "doctor", "one"); got.code != 0 ||
		!strings.Contains(got.stdout, "template one") ||
		!strings.Contains(got.stdout, f.answer.Repository) {
		t.Errorf("got %+v", got)
	}
	f.err = &pinion.Error{Name: "one", Origin: pinion.OriginGit, Err: pinion.ErrUnauthorized}
	if got := call(t.Context(), f, "doctor", "one"); got.code != 11 ||
		!strings.Contains(got.stdout, "failure   template one") {
		t.Errorf("got %+v", got)
	}
}
