package e2e_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// buildkitImage is the image of the containers of buildx's builders. It cannot be pulled, since no
// server listens at its address.
const buildkitImage = "127.0.0.1:1/buildkit:test"

// loadBuildkitImage makes that image of this machine's own programs, and puts it into the engine.
func (s *scene) loadBuildkitImage(t *testing.T) {
	t.Helper()
	partstest.Need(t, parts.NameBuildkitd)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	packed := map[string]bool{}
	for to, from := range map[string]string{
		"/usr/bin/buildkitd": locate(t, "buildkitd"), "/usr/bin/buildctl": buildctl(t),
		"/usr/bin/runc": locate(t, "runc"),
		"/usr/bin/git":  locate(t, "git"), "/usr/lib/git-core/git-remote-http": gitHelper(t),
		"/usr/bin/busybox": locate(t, "busybox"),
	} {
		for _, lib := range libraries(t, from) {
			if !packed[lib] {
				pack(t, w, lib, lib)
				packed[lib] = true
			}
		}
		pack(t, w, to, from)
	}
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "tmp", Mode: 0o1777},
		{Typeflag: tar.TypeDir, Name: "root", Mode: 0o700},
		{Typeflag: tar.TypeSymlink, Name: "bin", Linkname: "usr/bin"},
		{Typeflag: tar.TypeSymlink, Name: "usr/bin/sh", Linkname: "busybox"},
		{Typeflag: tar.TypeSymlink, Name: "usr/lib/git-core/git", Linkname: "../../bin/git"},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	resp, err := s.docker.ImageImport(t.Context(),
		client.ImageImportSource{Source: &archive, SourceName: "-"}, buildkitImage,
		client.ImageImportOptions{Changes: []string{`ENTRYPOINT ["buildkitd"]`,
			"ENV PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	if out, err := io.ReadAll(resp); err != nil || bytes.Contains(out, []byte(`"error"`)) {
		t.Fatalf("import: %v\n%s", err, out)
	}
}

func locate(t *testing.T, name string) string {
	t.Helper()
	path, err := parts.Locate(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// gitHelper is git's own program for http.
func gitHelper(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), locate(t, "git"), "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.EvalSymlinks(filepath.Join(strings.TrimSpace(string(out)),
		"git-remote-http"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// buildctl is built from the module that buildkitd comes from.
func buildctl(t *testing.T) string {
	t.Helper()
	return keep(t, "buildctl", func(ctx context.Context, dir string) (binary, error) {
		path := filepath.Join(dir, "buildctl")
		cmd := exec.CommandContext(ctx, "go", "build", "-o", path,
			"github.com/moby/buildkit/cmd/buildctl")
		cmd.Dir = filepath.Join(root(t), "test", "tools", "buildkitd")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		return binary{path}, nil
	}).path
}

// libraries are the shared ones that a program needs, with the loader; none if it is static.
func libraries(t *testing.T, program string) (paths []string) {
	t.Helper()
	out, _ := exec.CommandContext(t.Context(), "ldd", program).Output() // it fails for a static one
	for _, word := range strings.Fields(string(out)) {
		if filepath.IsAbs(word) && !slices.Contains(paths, word) {
			paths = append(paths, word)
		}
	}
	return paths
}

func pack(t *testing.T, w *tar.Writer, to, from string) {
	t.Helper()
	body, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(to, "/"), Mode: 0o755,
		Size: int64(len(body))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
}

// TestBuildxContainer: the driver docker-container, from a builder that was never started to one
// that is there, on an engine of its own since the container is the engine's too.
func TestBuildxContainer(t *testing.T) {
	partstest.OnSomeDays(t)
	partstest.Need(t, parts.NameBuildx, parts.NameBuildkitd, parts.NameBusybox)
	s := newSceneOn(t, partstest.Dockerd(t, parts.Docker29Classic).Host())
	s.installBuildx(t)
	tmpl, sha := s.prepare(t, "RUN echo in a container")
	s.loadBuildkitImage(t)
	s.buildx(t, "create", "--name", "boxed", "--driver", "docker-container", "--driver-opt",
		"image="+buildkitImage+",network=host")
	s.leavesBuildxAlone(t, func() {
		s.fail(t, exitNoBuilder, []string{"boxed/boxed0",
			"docker buildx inspect --bootstrap boxed"}, "ensure", runtime, "--builder", "boxed")
	})
	s.buildx(t, "inspect", "--bootstrap", "boxed")
	ours, theirs := filepath.Join(s.env["HOME"], "ours.json"),
		filepath.Join(s.env["HOME"], "theirs.json")
	s.leavesBuildxAlone(t, func() {
		s.wantImage(t, s.builtBy(t, buildxNode("boxed/boxed0"), "--builder", "boxed",
			"--metadata-file", ours))
	})
	s.with("BUILDX_METADATA_PROVENANCE", "disabled").buildx(t, "build", "--builder", "boxed",
		"--load", "--tag", "theirs", "--provenance=false",
		"--metadata-file", theirs,
		tmpl.url()+".git?submodules=false&ref="+sha) // the image has no `git submodule`
	if got, want := keys(metadata(t, ours)), keys(metadata(t, theirs)); !slices.Equal(got, want) {
		t.Errorf("the metadata has the keys %q, buildx's has %q", got, want)
	}
	s.buildx(t, "stop", "boxed")
	s.fail(t, exitNoBuilder, []string{"docker buildx inspect --bootstrap boxed"}, "ensure", runtime,
		"--builder", "boxed", "--no-cache")
	s.ensure(t, pinion.OutcomeHit)
}
