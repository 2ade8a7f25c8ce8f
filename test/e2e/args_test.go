package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// versioned has the Dockerfile of the platform's templates in small: the argument comes before the
// step that uses it, and no step copies the file.
func versioned(t *testing.T, version string) []parts.File {
	t.Helper()
	files := busybox(t, "ARG RUNTIME_VERSION=",
		"RUN echo \"runtime=${RUNTIME_VERSION:-floor}\" > /v",
		"CMD cat /v")
	return append(files, parts.Text(".runtime-version", version))
}

// TestRuntimeVersion: two commits that differ in .runtime-version alone are two images, each with
// its own value, with all builders and into all stores.
func TestRuntimeVersion(t *testing.T) {
	onCells(t, allCells(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		ids := map[string]bool{}
		for _, v := range []struct{ file, want string }{
			{"0.4.90\n", "0.4.90"}, {"runtime@v0.4.91\n", "0.4.91"},
		} {
			tmpl.push(t, versioned(t, v.file)...)
			o, log := openLogging(t, s.user)
			img, err := o.Ensure(t.Context(), runtime)
			if err != nil {
				t.Fatal(err)
			}
			if img.Outcome != pinion.OutcomeBuilt || img.Args["RUNTIME_VERSION"] != v.want {
				t.Errorf("%s with the arguments %v", img.Outcome, img.Args)
			}
			if out := s.runContainer(t, img.ID); out != "runtime="+v.want+"\n" {
				t.Errorf("the container prints %q", out)
			}
			line := "local-build: pinning RUNTIME_VERSION=" + v.want + " from .runtime-version for "
			if text := log.String(); !strings.Contains(text, line+runtime) {
				t.Errorf("no %q in the log\n%s", line, text)
			}
			ids[img.ID] = true
			if hit := s.ensure(t, pinion.OutcomeHit); hit.ID != img.ID ||
				hit.Args["RUNTIME_VERSION"] != v.want {
				t.Errorf("the hit is %s with %v", hit.ID, hit.Args)
			}
		}
		if len(ids) != 2 {
			t.Errorf("the images are %v", ids)
		}

		tmpl.push(t, versioned(t, "<<<<<<< HEAD\n")...)
		img := s.ensure(t, pinion.OutcomeBuilt)
		if len(img.Args) != 0 || len(img.Warnings) != 1 ||
			!strings.Contains(img.Warnings[0], ".runtime-version") {
			t.Errorf("a malformed file gives %v, warnings %q", img.Args, img.Warnings)
		}
		if out := s.runContainer(t, img.ID); out != "runtime=floor\n" {
			t.Errorf("the container prints %q", out)
		}
	})
}

// TestRuntimeVersionThatIsNotDeclared: a Dockerfile without the argument finds all its steps in the
// builder's cache.
func TestRuntimeVersionThatIsNotDeclared(t *testing.T) {
	onCells(t, []cell{containerdOwn, containerdStandalone, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		var nows []string
		for _, version := range []string{"1.0\n", "1.1\n"} {
			tmpl.push(t, append(busybox(t, "RUN date +%s%N > /now", "CMD cat /now"),
				parts.Text(".runtime-version", version))...)
			img := s.ensure(t, pinion.OutcomeBuilt)
			nows = append(nows, s.runContainer(t, img.ID))
		}
		if nows[0] != nows[1] {
			t.Errorf("the step ran twice: %q", nows)
		}
	})
}

// TestArgsOfTheConfigFile: constants, required files, and names that do not collide.
func TestArgsOfTheConfigFile(t *testing.T) {
	s := newScene(t, classicStandalone)
	tmpl := s.template(t, "own", parts.RepoOptions{})
	tmpl.push(t, append(busybox(t, "ARG FLAVOUR=", "ARG LEVEL=",
		"RUN echo \"$FLAVOUR $LEVEL\" > /v", "CMD cat /v"), parts.Text("conf/level", "7\n"))...)
	with := func(args string) user {
		config := "templates:\n- name: own\n  repo: " + tmpl.url() + "\n  args: " + args + "\n"
		return s.with("PINION_CONFIG", write(t, filepath.Join(t.TempDir(), "config.yaml"), config,
			0o600))
	}
	first := with("{FLAVOUR: sweet and sour, LEVEL: {file: conf/level, pattern: '[0-9]'}}")
	second := with("{FLAVOUR: plain, LEVEL: {file: conf/level}}")
	outputs := map[string]string{}
	for _, u := range []user{first, second, first, second} {
		img := parseImage(t, u.succeed(t, "ensure", "own", "--format", "json"))
		out := s.runContainer(t, img.ID)
		if before, again := outputs[img.Reference]; again != (img.Outcome == pinion.OutcomeHit) ||
			again && before != out {
			t.Errorf("%s is %s and prints %q, before %q", img.Reference, img.Outcome, out, before)
		}
		outputs[img.Reference] = out
	}
	if len(outputs) != 2 {
		t.Errorf("the images are %q", outputs)
	}
	with("{LEVEL: {file: conf/none, missing: refuse}}").fail(t, exitBuild,
		[]string{"LEVEL", "conf/none"}, "ensure", "own")
	with("{LEVEL: {file: conf, missing: refuse}}").fail(t, exitBuild, []string{"no file"}, "ensure",
		"own")
	with("{BUILDKIT_SYNTAX: evil/frontend}").fail(t, exitUsage, []string{"BUILDKIT_SYNTAX"},
		"ensure", "own")
}

// TestFormsOfOneCommit: two targets, another Dockerfile and another address of the repository take
// no hits from each other, and prune counts each by itself.
func TestFormsOfOneCommit(t *testing.T) {
	partstest.OnSomeDays(t)
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		files := busybox(t, "FROM base AS dev", "CMD echo dev", "FROM base AS prod",
			"CMD echo prod")
		stages := strings.Replace(string(files[0].Data), "FROM scratch", "FROM scratch AS base", 1)
		files[0] = parts.Text("Dockerfile", stages)
		other := busybox(t, "CMD echo other")[0]
		other.Path = "Other"
		s.template(t, runtime, parts.RepoOptions{}).push(t, append(files, other)...)
		form := func(key string) user {
			return s.with("PINION_CONFIG", configFile(t, "templates:\n- name: "+runtime+"\n  "+
				key+"\n"))
		}
		forms := []struct {
			user
			prints string
		}{
			{s.user, "prod"}, {form("target: dev"), "dev"}, {form("target: prod"), "prod"},
			{form("dockerfile: Other"), "other"},
			// The same repository under another address, so with the same name for its image.
			{s.with("MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", s.repoPrefix(s.gitea.URL())), "prod"},
		}
		for _, want := range []pinion.Outcome{pinion.OutcomeBuilt, pinion.OutcomeHit,
			pinion.OutcomeHit} {
			for i, f := range forms {
				img := f.ensure(t, want)
				if out := strings.TrimSpace(s.runContainer(t, img.ID)); out != f.prints {
					t.Errorf("form %d: %s prints %q", i, img.Reference, out)
				}
			}
		}
		r := s.succeed(t, "prune", "--keep", "1", "--dry-run")
		if strings.Contains(r.stdout, "\nremove ") ||
			strings.Count(r.stdout, "\nkeep ") < len(forms)-1 { // of a name one image is kept
			t.Errorf("prune would do\n%s", r.stdout)
		}
	})
}

// TestArgsOfBake: bake builds with the value of the commit, and makes the image that Pinion makes.
func TestArgsOfBake(t *testing.T) {
	s := newScene(t, containerdOwn)
	installBuildxPlugin(t, s.user)
	tmpl := s.template(t, runtime, parts.RepoOptions{})
	tmpl.push(t, versioned(t, "0.4.90\n")...)
	var file struct{ Target map[string]pinion.BakeTarget }
	if err := json.Unmarshal([]byte(s.succeed(t, "bake", runtime).stdout), &file); err != nil {
		t.Fatal(err)
	}
	if got := file.Target[runtime].Args["RUNTIME_VERSION"]; got != "0.4.90" {
		t.Errorf("the argument is %q", got)
	}
	built := s.ensure(t, pinion.OutcomeBuilt)
	r := s.shell(t, "pinion bake "+runtime+" | docker buildx bake -f - --progress plain")
	if r.code != 0 || s.id(t, built.Reference) != built.ID {
		t.Errorf("exit code %d, bake made %s, not %s\n%s", r.code, s.id(t, built.Reference),
			built.ID, r.stderr)
	}
}

// TestArgsOfAWorkingTree: a file that .dockerignore leaves out of the context still counts.
func TestArgsOfAWorkingTree(t *testing.T) {
	s := newScene(t, classicOwn)
	s.prepare(t)
	dir := t.TempDir()
	put := func(version string) {
		for _, f := range append(versioned(t, version), parts.Text(".dockerignore", ".*\n")) {
			path := filepath.Join(dir, f.Path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, path, string(f.Data), 0o755)
		}
	}
	put("1.0\n")
	first := parseImage(t, s.succeed(t, "ensure", runtime, "--path", dir, "--format", "json"))
	put("1.1\n")
	second := parseImage(t, s.succeed(t, "ensure", runtime, "--path", dir, "--format", "json"))
	if first.Reference == second.Reference || second.Args["RUNTIME_VERSION"] != "1.1" {
		t.Errorf("got %s, then %s with %v", first.Reference, second.Reference, second.Args)
	}
	if out := s.runContainer(t, second.ID); out != "runtime=1.1\n" {
		t.Errorf("the container prints %q", out)
	}
}
