package buildkit_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

func TestBuildsThePinnedCommit(t *testing.T) { onEachOf(t, builders(), buildsThePinnedCommit) }

func TestFailingRun(t *testing.T)                     { onBuilders(t, failingRun) }
func TestMissingDockerfile(t *testing.T)              { onBuilders(t, missingDockerfile) }
func TestDockerignore(t *testing.T)                   { onBuilders(t, appliesDockerignore) }
func TestSubdir(t *testing.T)                         { onBuilders(t, buildsSubdir) }
func TestLinkedDockerfile(t *testing.T)               { onBuilders(t, linkedDockerfile) }
func TestCancel(t *testing.T)                         { onBuilders(t, cancelled) }
func TestFault07_SymlinkedSubdir(t *testing.T)        { onBuilders(t, symlinkedSubdir) }
func TestFault09_BranchNamedLikeACommit(t *testing.T) { onBuilders(t, branchNamedLikeACommit) }
func TestFault29_GoneCommit(t *testing.T)             { onBuilders(t, goneCommit) }
func TestFault54_UntrustedFrontend(t *testing.T)      { onBuilders(t, untrustedFrontend) }
func TestFault55_Entitlements(t *testing.T)           { onBuilders(t, entitlements) }
func TestFault57_Submodules(t *testing.T)             { onBuilders(t, submodules) }
func TestFault58_HostileLog(t *testing.T)             { onBuilders(t, hostileLog) }

func TestFault60_BuilderDies(t *testing.T) {
	for _, name := range builders() {
		t.Run(name, func(t *testing.T) { builderDies(t, ownBench(t, name)) })
	}
}

func solve(t *testing.T, b *bench, req buildkit.Request) (buildkit.Result, string, error) {
	t.Helper()
	var tr transcript
	req.Progress = tr.record
	res, err := b.Solve(t.Context(), req, discard{})
	return res, tr.String(), err
}

func mustSolve(t *testing.T, b *bench, req buildkit.Request) (buildkit.Result, string) {
	t.Helper()
	res, out, err := solve(t, b, req)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return res, out
}

func wantError(t *testing.T, err error, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error is %v, want kind %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func wantSituation(t *testing.T, err error, want errdef.Situation, detail string) {
	t.Helper()
	if got, of := errdef.SituationOf(err); got != want || of != detail {
		t.Errorf("error %q is in situation %q of %q, want %q of %q", err, got, of, want, detail)
	}
}

func buildsThePinnedCommit(t *testing.T, b *bench) {
	req := b.busybox(t, "pinned", []string{"COPY word /", "RUN cat /word"},
		parts.Text("word", "first"))
	// The branch moves on; the request does not.
	if _, err := b.git.Push(t.Context(), "pinned",
		parts.Commit{Files: []parts.File{parts.Text("word", "second")}}); err != nil {
		t.Fatal(err)
	}
	res, out := mustSolve(t, b, req)
	if !strings.Contains(out, "first") || strings.Contains(out, "second") {
		t.Errorf("another commit was built:\n%s", out)
	}
	if res.ManifestDigest == "" && res.ConfigDigest == "" {
		t.Error("no digest")
	}
	again, _ := mustSolve(t, b, req)
	if again.ManifestDigest != res.ManifestDigest || again.ConfigDigest != res.ConfigDigest {
		t.Errorf("the same request gave %+v, then %+v", res, again)
	}
	t.Logf("%+v %+v", b.Info(), res)
}

func failingRun(t *testing.T, b *bench) {
	_, _, err := solve(t, b, b.busybox(t, "fails", []string{"RUN echo so it ends && exit 7"}))
	wantError(t, err, buildkit.ErrBuild, "Dockerfile:4", "7")
	var step *buildkit.StepError
	if !errors.As(err, &step) || step.Line != 4 || step.ExitCode != 7 ||
		!strings.Contains(step.Step, "exit 7") {
		t.Errorf("step is %+v", step)
	}
	if step != nil && !slices.Equal(step.Log, []string{"so it ends"}) {
		t.Errorf("the step printed %q", step.Log)
	}
}

func missingDockerfile(t *testing.T, b *bench) {
	_, _, err := solve(t, b, b.template(t, "nodockerfile", parts.Text("README", "x")))
	wantError(t, err, buildkit.ErrRefused, "has no Dockerfile")
}

func appliesDockerignore(t *testing.T, b *bench) {
	req := b.busybox(t, "ignores", []string{"COPY . /ctx",
		"RUN cd /ctx && find . -type f | sort | tr '\\n' ' ' && echo END"},
		parts.Text(".dockerignore", "*.md\nlogs\n!keep.md\ndeep/**/x\n"), parts.Text("a.md", ""),
		parts.Text("keep.md", ""),
		parts.Text("logs/1", ""), parts.Text("deep/er/x", ""), parts.Text("deep/er/y", ""))
	res, out := mustSolve(t, b, req)
	want := "./.dockerignore ./Dockerfile ./busybox ./deep/er/y ./keep.md END"
	if !strings.Contains(out, want) || !res.Ignored {
		t.Errorf("ignored %t; the context is not %q:\n%s", res.Ignored, want, out)
	}
}

func buildsSubdir(t *testing.T, b *bench) {
	req := b.busybox(t, "subdir", nil, parts.Text("sub/dir/Dockerfile",
		"FROM scratch\nCOPY here /\n"), parts.Text("sub/dir/here", "x"))
	req.Subdir = "sub/dir"
	mustSolve(t, b, req)
	req.Subdir = "sub/gone"
	_, _, err := solve(t, b, req)
	wantError(t, err, buildkit.ErrRefused, "sub/gone is not in the repository")
}

// The inspected file is the one that is built, though inside the copied subdir the link leads to
// another.
func linkedDockerfile(t *testing.T, b *bench) {
	base := partstest.BusyboxTemplate(t)
	inspected := "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"echo\", " +
		"\"inspected\"]\n"
	other := strings.ReplaceAll(inspected, "inspected", "smuggled")
	req := b.template(t, "linked", parts.Link("sub/Dockerfile", "../x/Dockerfile"),
		parts.Text("x/Dockerfile", inspected),
		parts.Text("sub/x/Dockerfile", other), parts.Program("sub/busybox", base[1].Data))
	req.Subdir = "sub"
	if _, out := mustSolve(t, b, req); !strings.Contains(out, "inspected") ||
		strings.Contains(out, "smuggled") {
		t.Errorf("another Dockerfile ran:\n%s", out)
	}
}

// A branch whose name has the form of a sha256 commit, in a sha1 repository.
func branchNamedLikeACommit(t *testing.T, b *bench) {
	req := b.busybox(t, "namesake", nil)
	name := strings.Repeat("ab", 32)
	if _, err := b.git.Push(t.Context(), "namesake",
		parts.Commit{Branch: name, Files: partstest.BusyboxTemplate(t,
			"RUN echo branch")}); err != nil {
		t.Fatal(err)
	}
	rev, err := git.ParseRevision(name)
	if err != nil {
		t.Fatal(err)
	}
	req.Revision = rev
	if _, out, err := solve(t, b, req); err == nil {
		t.Errorf("the branch was built for the commit:\n%s", out)
	}
}

func symlinkedSubdir(t *testing.T, b *bench) {
	req := b.busybox(t, "symlink", nil,
		parts.Text("real/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"),
		parts.Link("link", "real"), parts.Link("out", "/etc"))
	for _, subdir := range []string{"link", "out"} {
		req.Subdir = subdir
		_, _, err := solve(t, b, req)
		wantError(t, err, buildkit.ErrRefused, "symbolic link")
	}
}

func goneCommit(t *testing.T, b *bench) {
	req := b.busybox(t, "gone", nil)
	other := b.busybox(t, "gone2", []string{"RUN echo other"})
	req.Revision = other.Revision
	_, _, err := solve(t, b, req)
	wantError(t, err, buildkit.ErrFetch, "by its own network")
}

func untrustedFrontend(t *testing.T, b *bench) {
	for i, dockerfile := range []string{
		"# syntax=evil.example/frontend:1\nFROM scratch\n",
		"#syntax = evil.example/frontend\nFROM scratch\n",
		"// syntax=evil.example/frontend\n{}",
		"#!/usr/bin/env x\n# syntax=docker.io/evil/dockerfile\nFROM scratch\n",
		"\xef\xbb\xbf# syntax=evil.example/frontend\nFROM scratch\n",
		`{"syntax": "evil.example/frontend"}`,
		"# syntax=docker.io.evil.example/docker/dockerfile:1\nFROM scratch\n",
	} {
		_, out, err := solve(t, b, b.template(t, "evil"+string(rune('a'+i)),
			parts.Text("Dockerfile", dockerfile)))
		wantError(t, err, buildkit.ErrRefused, "not allowed")
		if strings.Contains(out, "evil.example") {
			t.Errorf("the builder was asked for the frontend:\n%s", out)
		}
	}
}

func entitlements(t *testing.T, b *bench) {
	for _, flag := range []string{"--security=insecure", "--network=host"} {
		req := b.busybox(t, "entitled"+flag[2:5], []string{"RUN " + flag + " true"})
		_, _, err := solve(t, b, req)
		wantError(t, err, buildkit.ErrBuild)
	}
}

func submodules(t *testing.T, b *bench) {
	const modules = "[submodule \"m\"]\n\tpath = m\n\turl = http://127.0.0.1:1/m.git\n"
	req := b.busybox(t, "submodules", nil, parts.Text(".gitmodules", modules),
		parts.Submodule("m", strings.Repeat("a", 40)))
	res, _, err := solve(t, b, req)
	if err == nil {
		if len(res.Warnings) == 0 {
			t.Error("left out without a word")
		}
		return
	}
	// An old builder goes for the submodules while it fetches, or has no way to leave them out.
	if !errors.Is(err, buildkit.ErrRefused) && !errors.Is(err, buildkit.ErrFetch) {
		t.Error(err)
	}
}

func hostileLog(t *testing.T, b *bench) {
	req := b.busybox(t, "hostile", []string{"COPY --link word* \x1b]0;owned\x07* /",
		`RUN printf '\033]0;owned\007\342\200\256evil\n' && exit 1`}, parts.Text("word", ""))
	_, out, err := solve(t, b, req)
	for _, s := range []string{out, err.Error()} {
		if strings.ContainsAny(s, "\x1b\x07\u202e") {
			t.Errorf("control characters came through: %q", s)
		}
	}
}

func cancelled(t *testing.T, b *bench) {
	req := b.busybox(t, "cancel", []string{"RUN echo started && sleep 600"})
	ctx, cancel := context.WithCancel(t.Context())
	var tr transcript
	req.Progress = tr.record
	go func() {
		defer cancel()
		for !strings.Contains(tr.String(), "started\n") && t.Context().Err() == nil {
			waitABit(t)
		}
	}()
	if _, err := b.Solve(ctx, req, discard{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func builderDies(t *testing.T, b *bench) {
	req := b.busybox(t, "dies", []string{"RUN echo started && sleep 600"})
	var tr transcript
	req.Progress = tr.record
	go func() {
		for !strings.Contains(tr.String(), "started\n") && t.Context().Err() == nil {
			waitABit(t)
		}
		b.kill()
	}()
	_, err := b.Solve(t.Context(), req, discard{})
	wantError(t, err, buildkit.ErrNoBuilder, "stopped answering")
}

// brokenSink is a store that dies in the middle of a load.
type brokenSink struct{}

var errBroken = errors.New("disk full")

func (brokenSink) Receive(context.Context, buildkit.Solved, func(int)) (buildkit.Delivery, error) {
	return buildkit.Delivery{}, errBroken
}

func (brokenSink) Load(_ context.Context, archive io.Reader) error {
	_, _ = io.CopyN(io.Discard, archive, 4096)
	return errBroken
}

func TestSinkFailureIsADeliveryError(t *testing.T) {
	b := ownBench(t, "buildkitd")
	_, err := b.Solve(t.Context(), b.busybox(t, "broken", nil), brokenSink{})
	wantError(t, err, buildkit.ErrDelivery, "disk full")
	if !errors.Is(err, errBroken) {
		t.Error("the sink's error is lost")
	}
}

func TestSHA256Repository(t *testing.T) {
	b := ownBench(t, "buildkitd")
	if err := b.git.CreateRepo(t.Context(), "sha256", parts.SHA256); err != nil {
		t.Skipf("SKIPPED, NOTHING TESTED: this git makes no sha256 repositories: %v", err)
	}
	req := b.push(t, "sha256", partstest.BusyboxTemplate(t, "RUN echo it is sha256")...)
	if n := len(req.Revision.String()); n != 64 {
		t.Fatalf("the commit has %d digits", n)
	}
	if _, out := mustSolve(t, b, req); !strings.Contains(out, "it is sha256") {
		t.Error(out)
	}
}
