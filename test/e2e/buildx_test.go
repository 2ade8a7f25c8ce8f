package e2e_test

import (
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// installBuildx makes the real buildx a plugin of the user's Docker config.
func (u user) installBuildx(t *testing.T) {
	t.Helper()
	partstest.Need(t, parts.NameBuildx)
	if err := os.MkdirAll(filepath.Dir(u.plugin()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(locate(t, "buildx"), u.plugin()); err != nil {
		t.Fatal(err)
	}
}

func (u user) plugin() string {
	return filepath.Join(u.env["HOME"], ".docker", "cli-plugins", "docker-buildx")
}

// buildx runs the user's buildx to its end and returns all that it prints.
func (u user) buildx(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), u.plugin(), args...)
	cmd.Env = u.environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("buildx %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// leavesBuildxAlone checks that f changes neither buildx's folder nor buildx's list of builders.
func (u user) leavesBuildxAlone(t *testing.T, f func()) {
	t.Helper()
	list := u.buildx(t, "ls") // it may write what it had not written before
	files := u.buildxFiles(t)
	f()
	if now := u.buildxFiles(t); !maps.Equal(now, files) {
		t.Errorf("buildx's files were %q and are %q", files, now)
	}
	if now := u.buildx(t, "ls"); now != list {
		t.Errorf("buildx's builders were\n%s\nand are\n%s", list, now)
	}
}

// buildxFiles are all files in buildx's folder with what is in them.
func (u user) buildxFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	dir := filepath.Join(u.env["HOME"], ".docker", "buildx")
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files[path] = read(t, filepath.Join(dir, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// newBuildxScene is a scene on the engine's own builder whose user has buildx.
func newBuildxScene(t *testing.T, c cell) *scene {
	t.Helper()
	partstest.Need(t, parts.NameBuildx)
	s := newScene(t, c)
	s.installBuildx(t)
	return s
}

// builtBy ensures an image and checks that this builder built it.
func (u user) builtBy(t *testing.T, want buildkit.Info, args ...string) pinion.Image {
	t.Helper()
	img := parseImage(t,
		u.run(t, append([]string{"ensure", runtime, "--format", "json"}, args...)...))
	if img.Outcome != pinion.OutcomeBuilt || img.Builder == nil || img.Builder.Kind != want.Kind ||
		img.Builder.Endpoint != want.Endpoint {
		t.Fatalf("got %+v, built by %+v, want %+v", img, img.Builder, want)
	}
	return img
}

func buildxNode(endpoint string) buildkit.Info {
	return buildkit.Info{Kind: buildkit.KindBuildx, Endpoint: endpoint}
}

// TestBuildxSelection: the builder that is selected in buildx builds, on each store. A hit contacts
// no builder. buildx's files do not change.
func TestBuildxSelection(t *testing.T) {
	partstest.OnSomeDays(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newBuildxScene(t, c)
		tmpl, _ := s.prepare(t, "RUN echo selected")
		s.buildx(t, "create", "--name", "own", "--driver", "remote", buildkitd(t).Addr())
		s.buildx(t, "use", "own")
		s.leavesBuildxAlone(t, func() {
			s.wantImage(t, s.builtBy(t, buildxNode("own/own0")))
			s.reset()
			s.ensure(t, pinion.OutcomeHit)
			s.wantHitTraffic(t)
			doctor := s.succeed(t, "doctor").stdout
			for _, word := range []string{
				"buildx v0.34.2 at own/own0 (selected by `docker buildx use`)",
				"buildx         v0.38.2",
			} {
				if !strings.Contains(doctor, word) {
					t.Errorf("doctor does not say %q:\n%s", word, doctor)
				}
			}
		})
		// The engine's own by its name, as in buildx, and back to it.
		tmpl.busybox(t, "RUN echo engine")
		own := buildkit.Info{Kind: buildkit.KindDocker, Endpoint: s.engine.URL()}
		s.builtBy(t, own, "--builder", "default")
		tmpl.busybox(t, "RUN echo variable")
		s.with("BUILDX_BUILDER", "default").builtBy(t, own)
		tmpl.busybox(t, "RUN echo name")
		s.with("BUILDKIT_HOST", "unix:///nowhere").builtBy(t, buildxNode("own/own0"),
			"--builder", "OWN")
		s.buildx(t, "use", "default")
		tmpl.busybox(t, "RUN echo unselected")
		s.builtBy(t, own)
	})
}

// TestBuildxOtherWayRound: what Pinion built, buildx finds built on the same builder, and lists it
// by the image's name.
func TestBuildxOtherWayRound(t *testing.T) {
	partstest.OnSomeDays(t)
	for _, c := range []cell{classicStandalone, containerdOwn, classicOwn} {
		t.Run(c.String(), func(t *testing.T) {
			s := newBuildxScene(t, c)
			delete(s.env, "BUILDKIT_HOST")
			builder := "default"
			want := buildkit.Info{Kind: buildkit.KindDocker, Endpoint: s.engine.URL()}
			if c.standalone {
				builder, want = "own", buildxNode("own/own0")
				s.buildx(t, "create", "--name", "own", "--driver", "remote", buildkitd(t).Addr())
			}
			tmpl := s.template(t, runtime, parts.RepoOptions{})
			sha := tmpl.push(t, append(busybox(t, "COPY greeting /", "RUN cat /greeting"),
				parts.Text("greeting", "hello\n"))...)
			img := s.builtBy(t, want, "--builder", builder)
			steps := plainSteps(s.buildx(t, "build", "--builder", builder, "--progress", "plain",
				tmpl.url()+".git#"+sha))
			if len(steps) < 3 {
				t.Errorf("only the steps %v", steps)
			}
			for step, cached := range steps {
				if !cached {
					t.Errorf("buildx ran the step %q again", step)
				}
			}
			history := s.buildx(t, "history", "ls", "--builder", builder, "--no-trunc",
				"--format", "{{.Name}} {{.Status}}")
			if !strings.Contains(history, img.Reference+" Completed\n") {
				t.Errorf("the history has no %s:\n%s", img.Reference, history)
			}
		})
	}
}

// plainSteps are the Dockerfile's instructions in the plain progress, and whether each was cached.
func plainSteps(progress string) map[string]bool {
	steps, names := map[string]bool{}, map[string]string{}
	for line := range strings.Lines(progress) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(rest, "[") && !strings.HasPrefix(rest, "[internal]") &&
			strings.Contains(rest, "/") {
			names[number] = rest
			steps[rest] = steps[rest] || false
		}
		if name := names[number]; name != "" && rest == "CACHED" {
			steps[name] = true
		}
	}
	return steps
}

// TestFault60_BuildxBuilderDies: the builder that was selected in buildx dies in the middle of a
// build.
func TestFault60_BuildxBuilderDies(t *testing.T) {
	own := partstest.Buildkitd(t, parts.BuildkitdOptions{})
	s := newBuildxScene(t, classicOwn)
	p := newBuildGate(t)
	tmpl := s.template(t, runtime, parts.RepoOptions{})
	sha := tmpl.push(t, parts.Text("Dockerfile", "FROM scratch\n"+p.add()+"\n"))
	s.buildx(t, "create", "--name", "own", "--driver", "remote", "--use", own.Addr())
	s.leavesBuildxAlone(t, func() {
		s.reset() // buildx itself asks the engine's builder, to list it
		build := s.start(t, "ensure", runtime)
		receive(t, "the build's request to the gate", p.arrived)
		own.Kill()
		r := build.result(t)
		for _, word := range []string{"own/own0", "stopped answering",
			"docker buildx inspect --bootstrap own"} {
			if r.code != exitNoBuilder || !strings.Contains(r.stderr, word) {
				t.Errorf("exit code %d, no %q in\n%s", r.code, word, r.stderr)
			}
		}
		if s.id(t, tmpl.reference(sha)) != "" || len(s.records(t, "*")) > 0 {
			t.Error("there is an image or a record")
		}
		s.wantNothingTemporary(t, runtime)
		// It stays the chosen one, and the engine's own does not stand in for it.
		s.fail(t, exitNoBuilder, []string{"own/own0", "docker buildx inspect --bootstrap own"},
			"ensure", runtime)
		if n := s.engine.Count("/grpc"); n != 0 {
			t.Errorf("the engine's builder was asked %d times", n)
		}
		if err := own.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	p.open()
	s.wantImage(t, s.builtBy(t, buildxNode("own/own0")))
}

// TestBuildxBuilderThatIsNotThere: a name that buildx does not know, another context's, and files
// that are broken.
func TestBuildxBuilderThatIsNotThere(t *testing.T) {
	s := newScene(t, classicOwn) // buildx is not installed
	s.prepare(t, "RUN echo names")
	for _, name := range []string{"unknown", "../current", "desktop-linux"} {
		s.fail(t, exitNoBuilder, []string{name, "docker buildx ls", "--context"}, "ensure", runtime,
			"--builder", name)
		s.with("BUILDX_BUILDER", name).fail(t, exitNoBuilder, []string{name, "BUILDX_BUILDER"},
			"ensure", runtime)
	}
	dir := filepath.Join(s.env["HOME"], "elsewhere")
	there := s.with("BUILDX_CONFIG", dir)
	write(t, filepath.Join(dir, "current"), `{"Key":`, 0o600)
	there.fail(t, exitNoBuilder, []string{filepath.Join(dir, "current"), "docker buildx use"},
		"ensure", runtime)
	write(t, filepath.Join(dir, "current"), `{"Key":"","Name":"far","Global":true}`, 0o600)
	write(t, filepath.Join(dir, "instances", "far"), `{"Name":"far","Driver":"kubernetes",`+
		`"Nodes":[{"Name":"far0","Endpoint":"kubernetes:///far"}]}`, 0o600)
	there.fail(t, exitNoBuilder, []string{"far", "kubernetes", "docker buildx is not installed"},
		"ensure", runtime)
	// A selected builder that was removed since is none, as in buildx.
	write(t, filepath.Join(dir, "current"), `{"Key":"","Name":"gone","Global":true}`, 0o600)
	there.builtBy(t, buildkit.Info{Kind: buildkit.KindDocker, Endpoint: s.engine.URL()})
	// A hit reads nothing of this.
	write(t, filepath.Join(dir, "current"), `{"Key":`, 0o600)
	there.with("BUILDX_BUILDER", "unknown").ensure(t, pinion.OutcomeHit)
}

// TestBuildxThroughThePlugin: a driver that only buildx knows how to reach. In the place of a
// cluster is a builder of the driver remote, which the stand-in for the plugin puts into the
// plugin's copy of the builder's file; the rest is the real plugin's.
func TestBuildxThroughThePlugin(t *testing.T) {
	s := newBuildxScene(t, classicOwn)
	tmpl, _ := s.prepare(t, "RUN echo far away")
	s.buildx(t, "create", "--name", "far", "--driver", "remote", "--use", buildkitd(t).Addr())
	file := filepath.Join(s.env["HOME"], ".docker", "buildx", "instances", "far")
	kubernetes := strings.Replace(read(t, file), `"Driver":"remote"`, `"Driver":"kubernetes"`, 1)
	write(t, file, kubernetes, 0o600)
	log, hosts := filepath.Join(s.env["HOME"], "log"), filepath.Join(s.env["HOME"], "hosts")
	stand := func(then string) {
		if err := os.Remove(s.plugin()); err != nil {
			t.Fatal(err)
		}
		write(t, s.plugin(), "#!/bin/sh\necho \"$@\" >> "+log+"\necho \"$DOCKER_HOST\" >> "+hosts+
			"\nsed -i s/kubernetes/remote/ \"$BUILDX_CONFIG/instances/far\"\n"+then+"\n", 0o755)
	}
	files := s.buildxFiles(t)
	tmp := t.TempDir()
	s.user = s.with("TMPDIR", tmp)
	stand("exec " + locate(t, "buildx") + ` "$@"`)
	s.wantImage(t, s.builtBy(t, buildxNode("far")))
	for call := range strings.Lines(read(t, log)) {
		if call != "inspect far\n" && call != "dial-stdio --builder far --platform linux/amd64\n" {
			t.Errorf("buildx was called with %q", call)
		}
	}
	// The plugin gets the engine that Docker's flags name.
	installPlugin(t, filepath.Join(s.env["HOME"], ".docker"))
	s.with("DOCKER_HOST", "unix:///nowhere").dockerSucceed(t, "-H", s.engine.URL(), "pinion",
		"ensure", "--no-cache", runtime)
	for host := range strings.Lines(read(t, hosts)) {
		if host != s.engine.URL()+"\n" {
			t.Errorf("buildx's engine is %q", host)
		}
	}
	// One that is killed leaves its copy to the next one.
	dialled := filepath.Join(s.env["HOME"], "dialled")
	stand("test $1 = dial-stdio || { echo Status: running; exit; }; touch " + dialled +
		"; cat >/dev/null")
	tmpl.busybox(t, "RUN echo killed")
	killed := s.start(t, "ensure", runtime)
	eventually(t, "the plugin's start", func() bool {
		_, err := os.Stat(dialled)
		return err == nil
	})
	killed.kill()
	if leftovers, err := os.ReadDir(tmp); err != nil || len(leftovers) != 1 {
		t.Errorf("left behind by a killed process: %q, %v", leftovers, err)
	}
	stand("echo Status: inactive")
	tmpl.busybox(t, "RUN echo stopped")
	s.fail(t, exitNoBuilder, []string{"no node of the builder runs",
		"docker buildx inspect --bootstrap far"}, "ensure", runtime)
	if calls := read(t, log); strings.HasSuffix(calls, "linux/amd64\n") {
		t.Errorf("a builder that does not run was dialled, which starts it:\n%s", calls)
	}
	stand("echo no cluster answers >&2; exit 1")
	tmpl.busybox(t, "RUN echo farther away")
	s.fail(t, exitNoBuilder, []string{"no cluster answers",
		"docker buildx inspect --bootstrap far"}, "ensure", runtime)
	if now := s.buildxFiles(t); !maps.Equal(now, files) {
		t.Errorf("buildx's files were %q and are %q", files, now)
	}
	if leftovers, err := os.ReadDir(tmp); err != nil || len(leftovers) > 0 {
		t.Errorf("left behind: %q, %v", leftovers, err)
	}
}

// TestBuildxNodes: of several nodes the one configured for the platform builds, otherwise one that
// has it natively. A node that does not answer is passed over with a warning.
func TestBuildxNodes(t *testing.T) {
	partstest.OnSomeDays(t)
	other := partstest.Buildkitd(t, parts.BuildkitdOptions{})
	s := newBuildxScene(t, classicOwn)
	tmpl, _ := s.prepare(t, "RUN echo nodes")
	s.buildx(t, "create", "--name", "two", "--node", "a", "--driver", "remote",
		"--use", other.Addr())
	s.buildx(t, "create", "--name", "two", "--node", "b", "--append", buildkitd(t).Addr())
	if img := s.builtBy(t, buildxNode("two/a")); len(img.Warnings) > 0 {
		t.Errorf("warnings %q", img.Warnings)
	}
	other.Kill()
	tmpl.busybox(t, "RUN echo one is left")
	s.leavesBuildxAlone(t, func() {
		img := s.builtBy(t, buildxNode("two/b"))
		if len(img.Warnings) != 1 || !strings.Contains(img.Warnings[0], "two/a") {
			t.Errorf("warnings %q", img.Warnings)
		}
	})
	// One that takes connections and says nothing.
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	// buildx itself would wait for it.
	write(t, filepath.Join(s.env["HOME"], ".docker", "buildx", "instances", "mute"),
		fmt.Sprintf(`{"Name":"mute","Driver":"remote","Nodes":[
			{"Name":"a","Endpoint":"tcp://%s"},{"Name":"b","Endpoint":%q}]}`,
			mute.Addr(), buildkitd(t).Addr()), 0o600)
	tmpl.busybox(t, "RUN echo one is mute")
	img := s.builtBy(t, buildxNode("mute/b"), "--builder", "mute")
	if len(img.Warnings) != 1 || !strings.Contains(img.Warnings[0], "node a") {
		t.Errorf("warnings %q", img.Warnings)
	}
	// Now the dead one is the one for the platform.
	s.buildx(t, "create", "--name", "set", "--node", "a", "--driver", "remote",
		"--platform", "linux/amd64", "--use", other.Addr())
	s.buildx(t, "create", "--name", "set", "--node", "b", "--append", "--platform",
		"linux/arm64", buildkitd(t).Addr())
	tmpl.busybox(t, "RUN echo none is left")
	s.fail(t, exitNoBuilder, []string{"set/a", "docker buildx inspect --bootstrap set"},
		"ensure", runtime)
}

// TestBuildxDocs runs what docs/buildx.md shows, with the addresses of this scene.
func TestBuildxDocs(t *testing.T) {
	s := newBuildxScene(t, classicOwn)
	tmpl := s.template(t, "claude-code", parts.RepoOptions{})
	sha := tmpl.busybox(t, "RUN echo documented")
	bin := t.TempDir()
	write(t, filepath.Join(bin, "docker"), "#!/bin/sh\nshift\nexec "+s.plugin()+" \"$@\"\n", 0o755)
	if err := os.Symlink(pinionBinary(t), filepath.Join(bin, "pinion")); err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer(
		"tcp://builder:1234", buildkitd(t).Addr(), "<sha>", sha, "c4ec4b2024cf", sha[:12],
		"https://git.moleculesai.app/molecule-ai/molecule-ai-workspace-template-claude-code",
		tmpl.url(),
	)
	run := func(script string) string {
		cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", here.Replace(script))
		cmd.Env = s.with("PATH", bin+":"+s.env["PATH"]).environ()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	blocks := fencedBlocks(read(t, filepath.Join(root(t), "docs", "buildx.md")))
	if len(blocks) < 4 {
		t.Fatalf("docs/buildx.md has only %d blocks", len(blocks))
	}
	use, doctor, build, history := blocks[0], blocks[1], blocks[2], blocks[3]
	command, listed, _ := strings.Cut(strings.TrimPrefix(history, "$ "), "\n")
	for _, c := range []struct{ script, want string }{
		{use, tmpl.reference(sha)}, {"pinion doctor", doctor}, {build, "CACHED"}, {command, listed},
	} {
		out := oneSpaced(run(c.script))
		for line := range strings.Lines(here.Replace(c.want)) {
			if !strings.Contains(out, oneSpaced(line)) {
				t.Errorf("%s: no %q in\n%s", c.script, line, out)
			}
		}
	}
}

// fencedBlocks are the blocks of a Markdown text.
func fencedBlocks(text string) (blocks []string) {
	for i, part := range strings.Split("\n"+text, "\n```") {
		if _, block, _ := strings.Cut(part, "\n"); i%2 == 1 {
			blocks = append(blocks, block)
		}
	}
	return blocks
}

// oneSpaced is a text with one space between its words: a table's columns are as wide as the rows
// need, and other tests may leave what adds a row.
func oneSpaced(s string) string { return strings.Join(strings.Fields(s), " ") }
