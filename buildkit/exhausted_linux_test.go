package buildkit_test

import (
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/test/disktest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// limitedBench is a buildkitd of its own below a folder, with a git server beside it.
func limitedBench(t *testing.T, dir string, opts parts.BuildkitdOptions) *bench {
	t.Helper()
	partstest.Need(t, "buildkitd", "git", "busybox")
	b := &bench{}
	b.endWith(t)
	err := b.startGit(filepath.Join(t.TempDir(), "git"))
	if err == nil {
		err = b.startBuildkitd(t.Context(), dir, opts)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBuilderWithoutDisk: a step that fills the builder's disk is no fault of the template, and
// neither is what the builder itself cannot write, from the fetch on.
func TestBuilderWithoutDisk(t *testing.T) {
	const fills = "RUN dd if=/dev/zero of=/x bs=1M count=100"
	copies := []string{"COPY big /1", "COPY big /2", "COPY big /3"}
	for name, c := range map[string]struct {
		lines []string
		fill  bool
		want  error
	}{
		"a step":    {[]string{fills}, false, buildkit.ErrExhausted},
		"a copy":    {copies, false, buildkit.ErrExhausted},
		"the fetch": {nil, true, buildkit.ErrExhausted},
		"a fault":   {[]string{"RUN exit 3"}, false, buildkit.ErrBuild},
	} {
		t.Run(name, func(t *testing.T) {
			dir := disktest.Small(t, "size=64m")
			b := limitedBench(t, filepath.Join(dir, "b"), parts.BuildkitdOptions{})
			if c.fill {
				disktest.Fill(t, filepath.Join(dir, "taken"))
			}
			_, _, err := solve(t, b, b.busybox(t, "full", c.lines,
				parts.Text("big", strings.Repeat("x", 16<<20))))
			wantKind(t, name, err, c.want)
			if c.want == buildkit.ErrExhausted { //nolint:errorlint // the row's own value
				wantSituation(t, err, errdef.BuilderExhausted, b.Info().Endpoint)
			}
			t.Logf("%v", err)
		})
	}
}

// TestBuilderWithoutMemory: a program that the kernel kills for want of memory is no fault of the
// template. With control groups of version 1 only the shell says that it was killed.
func TestBuilderWithoutMemory(t *testing.T) {
	b := limitedBench(t, t.TempDir(), parts.BuildkitdOptions{Memory: 64 << 20})
	_, out, err := solve(t, b, b.busybox(t, "eats", []string{"RUN tail /dev/zero; exit $?"}))
	wantKind(t, "a program", err, buildkit.ErrExhausted)
	wantSituation(t, err, errdef.BuilderExhausted, b.Info().Endpoint)
	t.Logf("%v\n%s", err, out)
	_, _, err = solve(t, b, b.busybox(t, "fails", []string{"RUN exit 3"}))
	wantKind(t, "a step that fails by itself", err, buildkit.ErrBuild)
}
