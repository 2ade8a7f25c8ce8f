package buildkit_test

import (
	"fmt"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

func TestLowerCaseDockerfile(t *testing.T)     { onBuilders(t, lowerCaseDockerfile) }
func TestDockerfileOutsideSubdir(t *testing.T) { onBuilders(t, dockerfileOutsideSubdir) }
func TestGitDir(t *testing.T)                  { onBuilders(t, gitDir) }
func TestIgnoredFolders(t *testing.T)          { onBuilders(t, ignoredFolders) }
func TestSubmodulesOnRequest(t *testing.T)     { onBuilders(t, submodulesOnRequest) }

// says returns a template that prints a word from the Dockerfile at a path.
func says(t *testing.T, dockerfile, word string, more ...parts.File) []parts.File {
	t.Helper()
	files := partstest.BusyboxTemplate(t, "RUN echo "+word)
	files[0].Path = dockerfile
	return append(files, more...)
}

func lowerCaseDockerfile(t *testing.T, b *bench) {
	if _, out := mustSolve(t, b, b.template(t, "lower",
		says(t, "dockerfile", "lower")...)); !strings.Contains(out, "lower") {
		t.Errorf("the build printed\n%s", out)
	}
	both := append(says(t, "dockerfile", "lower"), says(t, "Dockerfile", "usual")[0])
	if _, out := mustSolve(t, b, b.template(t, "both", both...)); !strings.Contains(out, "usual") {
		t.Errorf("with both names the build printed\n%s", out)
	}
}

// dockerfileOutsideSubdir: with its own ignore file beside it, and the context from the subdir.
func dockerfileOutsideSubdir(t *testing.T, b *bench) {
	base := partstest.BusyboxTemplate(t, "COPY . /context", "RUN find /context -type f | sort")
	base[0].Path, base[1].Path = "docker/app.Dockerfile", "app/busybox"
	req := b.template(t, "outside", append(base, parts.Text("app/kept", ""),
		parts.Text("app/left", ""), parts.Text("beside", ""),
		parts.Text("docker/app.Dockerfile.dockerignore", "left\n"))...)
	req.Subdir, req.Dockerfile = "app", "/docker/app.Dockerfile"
	_, out := mustSolve(t, b, req)
	if !strings.Contains(out, "/context/kept") || strings.Contains(out, "/context/left") ||
		strings.Contains(out, "beside") {
		t.Errorf("the build printed\n%s", out)
	}
	req.Dockerfile = "/docker/none"
	_, _, err := solve(t, b, req)
	wantError(t, err, buildkit.ErrRefused, "has no docker/none")
}

func gitDir(t *testing.T, b *bench) {
	req := b.busybox(t, "gitdir", []string{"COPY .git/HEAD /head", "RUN cat /head"})
	_, _, err := solve(t, b, req)
	wantError(t, err, buildkit.ErrBuild, ".git/HEAD")
	wantSituation(t, err, errdef.GitDirWanted, "")
	req.KeepGitDir = true
	if _, out := mustSolve(t, b, req); !strings.Contains(out, req.Revision.String()) {
		t.Errorf("HEAD is not %s:\n%s", req.Revision, out)
	}
	log := b.busybox(t, "describe", []string{
		"RUN echo 'fatal: not a git repository (or any of its parents): .git'; exit 128"})
	_, _, err = solve(t, b, log)
	wantSituation(t, err, errdef.GitDirWanted, "")
}

// ignoredFolders leave no empty folders, on builders that cannot leave files out of a copy either.
func ignoredFolders(t *testing.T, b *bench) {
	req := b.busybox(t, "folders", []string{"COPY . /context",
		"RUN cd /context && find . -type d | sort | tr '\\n' ' ' && echo END"},
		parts.Text(".dockerignore", "logs\ndeep\n!deep/er/y\n!*.md\n"), parts.Text("a.md", ""),
		parts.Text("logs/more/1", ""), parts.Text("deep/er/x", ""), parts.Text("deep/er/y", ""),
		parts.Text("deep/other/z", ""), parts.Text("plain/1", ""))
	if _, out := mustSolve(t, b, req); !strings.Contains(out, ". ./deep ./deep/er ./plain END") {
		t.Errorf("the folders are\n%s", out)
	}
}

// submodulesOnRequest fetches a submodule and the one in it, and refuses a repository that is not
// allowed, at the first level before it is asked for.
func submodulesOnRequest(t *testing.T, b *bench) {
	modules := func(path, url string) parts.File {
		return parts.Text(".gitmodules",
			fmt.Sprintf("[submodule %q]\n\tpath = %s\n\turl = %s\n", path, path, url))
	}
	inner := b.template(t, "inner", parts.Text("word", "inner\n"))
	middle := b.template(t, "middle", parts.Text("word", "middle\n"), modules("in", "../inner.git"),
		parts.Submodule("in", inner.Revision.String()))
	req := b.busybox(t, "outer", []string{"COPY mid /mid", "RUN cat /mid/word /mid/in/word"},
		modules("mid", "../middle.git"), parts.Submodule("mid", middle.Revision.String()))
	host := req.Remote.Host()
	req.Submodules = []string{"other.example", host}
	res, out := mustSolve(t, b, req)
	if !strings.Contains(out, "middle") || !strings.Contains(out, "inner") ||
		len(res.Warnings) != 0 {
		t.Errorf("warnings %q\n%s", res.Warnings, out)
	}
	for _, c := range []struct{ allowed, says string }{
		{"other.example", "/middle is not in the list"},
		{host + "/middle", "/inner is not in the list"},
	} {
		req.Submodules = []string{c.allowed}
		_, _, err := solve(t, b, req)
		wantError(t, err, buildkit.ErrRefused, c.says)
		wantSituation(t, err, errdef.SubmoduleNotAllowed, host)
	}
}
