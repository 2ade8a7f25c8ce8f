package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestCommandEnsure is a template's life on the command line.
func TestCommandEnsure(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, sha := s.prepare(t, "RUN echo seen by people; echo hello > /word", "CMD cat /word")

		first := s.succeed(t, "ensure", runtime)
		if first.stdout != tmpl.reference(sha)+"\n" {
			t.Errorf("stdout is %q", first.stdout)
		}
		for _, line := range []string{
			"Provisioner: local-build mode → using locally-built image " + tmpl.reference(sha) +
				" for runtime hermes\n",
			"local-build: solving " + tmpl.url() + "#" + sha[:12] + "\n",
			"local-build: build done in ", "seen by people",
		} {
			if !strings.Contains(first.stderr, line) {
				t.Errorf("stderr does not say %q:\n%s", line, first.stderr)
			}
		}
		// docker run $(pinion ensure hermes)
		if out := s.runContainer(t, strings.TrimSpace(first.stdout)); out != "hello\n" {
			t.Errorf("the container prints %q", out)
		}

		s.reset()
		iid, meta := filepath.Join(s.env["HOME"], "iid"), filepath.Join(s.env["HOME"], "meta.json")
		id := s.id(t, tmpl.reference(sha))
		again := s.succeed(t, "ensure", runtime, "-q", "--iidfile", iid, "--metadata-file", meta)
		s.wantHitTraffic(t)
		if again.stdout != id+"\n" || again.stderr != "" {
			t.Errorf("-q printed %q, and on stderr %q", again.stdout, again.stderr)
		}
		if got := read(t, iid); got != id {
			t.Errorf("--iidfile holds %q, not %s", got, id)
		}
		var metadata map[string]any
		if err := json.Unmarshal([]byte(read(t, meta)), &metadata); err != nil ||
			metadata["image.name"] != tmpl.reference(sha) {
			t.Errorf("--metadata-file holds %v, %v", metadata, err)
		}
		img := parseImage(t, s.succeed(t, "ensure", runtime, "--format", "json"))
		if img.Schema != 1 || img.Outcome != pinion.OutcomeHit || img.ID != id ||
			img.Revision.String() != sha || img.Mode != "local-build" {
			t.Errorf("the object is %+v", img)
		}
	})
}

// TestCommandSeveralNames builds side by side and prints in the order of the arguments.
func TestCommandSeveralNames(t *testing.T) {
	s := newScene(t, containerdOwn)
	gate := newBuildGate(t)
	names := []string{"langgraph", "autogen", "hermes"}
	refs := map[string]string{}
	for i, name := range names {
		tmpl := s.template(t, name, parts.RepoOptions{})
		line := "RUN echo quick " + name
		if i == 0 {
			line = gate.add()
		}
		refs[name] = tmpl.reference(tmpl.busybox(t, line))
	}
	p := s.start(t, append([]string{"ensure", "--progress", "plain"}, names...)...)
	receive(t, "the slow build", gate.arrived)
	eventually(t, "the end of the quick builds", func() bool {
		return strings.Count(p.stderr.String(), "local-build: build done") == 2
	})
	if out := p.stdout.String(); out != "" {
		t.Errorf("printed before its turn: %q", out)
	}
	gate.open()
	r := p.result(t)
	want := refs[names[0]] + "\n" + refs[names[1]] + "\n" + refs[names[2]] + "\n"
	if r.code != 0 || r.stdout != want {
		t.Errorf("exit code %d, stdout\n%s, not\n%s\n%s", r.code, r.stdout, want, r.stderr)
	}

	slices.Reverse(names)
	var got []string
	for _, img := range parseImages(t,
		s.run(t, append([]string{"ensure", "--format", "json"}, names...)...)) {
		got = append(got, img.Name)
		if img.Outcome != pinion.OutcomeHit {
			t.Errorf("%s is %s", img.Name, img.Outcome)
		}
	}
	if !slices.Equal(got, names) {
		t.Errorf("asked for %v, got %v", names, got)
	}
}

// TestCommandFirstFailureDecides: the exit code. The other images are still built.
func TestCommandFirstFailureDecides(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, sha := s.prepare(t, "RUN echo the good one")
	s.template(t, "autogen", parts.RepoOptions{}).busybox(t, "RUN exit 3")
	for _, c := range []struct {
		names []string
		code  int
	}{
		{[]string{"langgraph", "hermes", "autogen"}, exitNotFound},
		{[]string{"autogen", "hermes", "langgraph"}, exitBuild},
	} {
		r := s.run(t, append([]string{"ensure"}, c.names...)...)
		if r.code != c.code || r.stdout != tmpl.reference(sha)+"\n" {
			t.Errorf("%v: exit code %d, not %d; stdout %q\n%s",
				c.names, r.code, c.code, r.stdout, r.stderr)
		}
	}
}

// TestCommandUnknownName is refused before anything is asked or written.
func TestCommandUnknownName(t *testing.T) {
	s := newScene(t, containerdOwn)
	iid := filepath.Join(s.env["HOME"], "iid")
	s.fail(t, exitNotFound, []string{"unknown-thing", "claude-code"}, "ensure", "unknown-thing",
		"--iidfile", iid)
	s.fail(t, exitNotFound, []string{"unknown-thing"}, "ensure", runtime, "unknown-thing")
	s.fail(t, exitNotFound, []string{"unknown-thing"}, "resolve", "unknown-thing")
	if n := len(s.git.Requests()) + len(s.engine.Requests()); n != 0 {
		t.Errorf("it cost %d requests", n)
	}
	for _, path := range []string{iid, s.cacheDir()} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was written", path)
		}
	}
}

// TestCommandUsage: what is wrong with the call itself.
func TestCommandUsage(t *testing.T) {
	u := newUser(t)
	for _, args := range [][]string{
		{"ensure"}, {"ensure", "hermes", "--format", "xml"}, {"ensure", "hermes", "--sha", "abc"},
		{"ensure", "hermes", "--no-such-flag"},
		{"frobnicate"}, {"ensure", "hermes", "--platform", "not/a/platform/at/all"},
		{"ensure", "a", "b", "--iidfile", "x"},
	} {
		u.fail(t, exitUsage, []string{"pinion"}, args...)
	}
	u.with("MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", "ext::sh -c id").fail(t, exitUsage, nil,
		"ensure", runtime)
	u.with("MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", "http://git.example/t-").fail(t, exitUsage,
		[]string{"http"}, "ensure", runtime)
}

// TestCommandErrors: each kind has its exit code and its advice.
func TestCommandErrors(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, _ := s.prepare(t, "RUN echo first", "RUN exit 42")
	s.fail(t, exitBuild, []string{"Dockerfile:5", "exit code 42"}, "ensure", runtime)
	s.fail(t, exitNotFound, []string{"not mirrored", s.repoPrefix(s.git.URL()) + "autogen"},
		"ensure", "autogen")
	s.with("MOLECULE_GITEA_TOKEN", "bad").fail(t, exitUnauthorized,
		[]string{"MOLECULE_GITEA_TOKEN"}, "ensure", runtime)
	s.with("MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", "http://127.0.0.1:1/t-").fail(t, exitUnreachable,
		[]string{"127.0.0.1:1"}, "ensure", runtime)
	s.fail(t, exitNoBuilder, []string{"unix:///nowhere"}, "ensure", runtime, "--addr",
		"unix:///nowhere")
	s.fail(t, exitStore, []string{"unix:///nowhere"}, "ensure", runtime, "-H", "unix:///nowhere")

	tmpl.push(t, parts.Text("README", "no Dockerfile"))
	r := s.fail(t, exitBuild, nil, "ensure", runtime, "--format", "json", "--progress", "quiet")
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	var failure struct {
		Schema   int    `json:"schema"`
		Name     string `json:"name"`
		Error    string `json:"error"`
		Origin   string `json:"origin"`
		ExitCode int    `json:"exit_code"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &failure); err != nil {
		t.Fatalf("%v in %q", err, r.stderr)
	}
	if failure.Schema != 1 || failure.Name != runtime ||
		!strings.Contains(failure.Error, "Dockerfile") || failure.Origin != "buildkit" ||
		failure.ExitCode != exitBuild {
		t.Errorf("the object is %+v", failure)
	}
}

// TestCommandInterrupted: Ctrl-C stops the solve on the builder too.
func TestCommandInterrupted(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		gate := newBuildGate(t)
		s.prepare(t, gate.add())
		p := s.start(t, "ensure", runtime)
		receive(t, "the build", gate.arrived)
		if err := p.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if r := p.result(t); r.code != exitCancelled || r.stdout != "" {
			t.Errorf("exit code %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
		}
		receive(t, "the end of the solve", gate.gone)
		wantNoTrace(t, s)
	})
}

// TestCommandSHA: a commit given with --sha must be on the template's branch.
func TestCommandSHA(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, old := s.prepare(t, "RUN echo old")
	head := tmpl.busybox(t, "RUN echo head")
	impostor := tmpl.commit(t, parts.Commit{Branch: "impostor", From: "main",
		Files: busybox(t, "RUN echo impostor")})
	if err := s.gitea.Settle(t.Context(), tmpl.repo); err != nil {
		t.Fatal(err)
	}
	for _, sha := range []string{old, head} {
		if r := s.succeed(t, "ensure", runtime, "--sha",
			sha); r.stdout != tmpl.reference(sha)+"\n" {
			t.Errorf("asked for %s, got %s", sha, r.stdout)
		}
	}
	s.fail(t, exitNotFound, []string{impostor[:12]}, "ensure", runtime, "--sha", impostor)
	s.fail(t, exitNotFound, nil, "ensure", runtime, "--sha", strings.Repeat("a", 40))
	if s.id(t, tmpl.reference(impostor)) != "" {
		t.Error("the impostor was built")
	}
	r := s.succeed(t, "ensure", runtime, "--sha", impostor, "--allow-any-sha")
	if r.stdout != tmpl.reference(impostor)+"\n" {
		t.Errorf("got %s", r.stdout)
	}
	if s.id(t, "molecule-local/workspace-template-hermes:latest") == s.id(t,
		tmpl.reference(impostor)) {
		t.Error("latest is the impostor")
	}
	// A hit of before does not let it in either.
	s.fail(t, exitNotFound, nil, "ensure", runtime, "--sha", impostor)
}

// TestCommandConfig: a catalogue of one's own, with all that an entry may say.
func TestCommandConfig(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl := s.template(t, "own", parts.RepoOptions{Private: true})
	tmpl.busybox(t, "RUN echo default branch")
	sha := tmpl.commit(t, parts.Commit{Branch: "v2", From: "main",
		Files: append(busybox(t, "RUN exit 9"),
			parts.Text("sub/Custom",
				"FROM scratch AS wanted\nCOPY word /\nFROM scratch\nCOPY missing /\n"),
			parts.Text("sub/word", "x"))})
	config := "templates:\n- name: own-thing\n  repo: " + tmpl.url() +
		"\n  branch: v2\n  subdir: sub\n  dockerfile: Custom\n  target: wanted\n" +
		"  image: my-image\ncredentials:\n- host: " + strings.TrimPrefix(s.git.URL(), "http://") +
		"\n  token_env: MY_TOKEN\n"
	file := write(t, filepath.Join(s.env["HOME"], "config.yaml"), config, 0o600)
	u := s.with("MY_TOKEN", s.token(t))
	for _, args := range [][]string{
		{"ensure", "own-thing", "--config", file, "--format", "json"},
		{"ensure", "own-thing", "--format", "json"},
	} {
		img := parseImage(t, u.run(t, args...))
		if img.Revision.String() != sha ||
			!strings.HasPrefix(img.Reference, "molecule-local/my-image:"+sha[:12]+".f") {
			t.Errorf("got %+v", img)
		}
		// The second time the file is found where it is kept.
		write(t, filepath.Join(s.env["HOME"], ".config", "pinion", "config.yaml"), config, 0o600)
	}
	write(t, file, "templates:\n- name: own-thing\n  rpeo: x\n", 0o600)
	s.fail(t, exitUsage, []string{"line 3", "rpeo"}, "ensure", "own-thing", "--config", file)
	write(t, file, "templates: [\n", 0o600)
	s.fail(t, exitUsage, []string{file}, "ensure", runtime, "--config", file)
}

// TestCatalogueOfBuiltIns: an entry changes a built-in template or pins it, and a wrong one is
// refused alone.
func TestCatalogueOfBuiltIns(t *testing.T) {
	partstest.OnSomeDays(t)
	s := newScene(t, containerdOwn)
	tmpl := s.template(t, runtime, parts.RepoOptions{})
	first := tmpl.busybox(t, "RUN echo first")
	second := tmpl.commit(t, parts.Commit{Files: busybox(t, "RUN echo second")})
	other := tmpl.commit(t, parts.Commit{Branch: "other", From: "main",
		Files: busybox(t, "RUN echo other")})
	file := filepath.Join(s.env["HOME"], ".config", "pinion", "config.yaml")
	for _, c := range []struct{ keys, sha string }{
		{"timeout: 10m", second}, {"branch: other", other}, {"revision: " + first, first},
	} {
		write(t, file, "templates:\n- name: "+runtime+"\n  "+c.keys+
			"\n- name: codex\n  brnach: x\n", 0o600)
		img := parseImage(t, s.run(t, "ensure", runtime, "--format", "json"))
		if img.Revision.String() != c.sha {
			t.Errorf("%s gives %s, want %s", c.keys, img.Revision, c.sha)
		}
	}
	img := parseImage(t, s.run(t, "ensure", runtime, "--format", "json"))
	if img.Outcome != "hit" || img.Revision.String() != first {
		t.Errorf("the pinned template gives %+v", img)
	}
	s.fail(t, exitNotFound, []string{"pins"}, "ensure", runtime, "--sha", second)
	s.fail(t, exitUsage, []string{file, "line 5", "brnach"}, "ensure", "codex")
	if r := s.run(t, "doctor"); r.code != 0 || !strings.Contains(r.stdout, "brnach") {
		t.Errorf("doctor says %d, %s", r.code, r.stdout)
	}
	if r := s.run(t, "ls"); r.code != 0 || !strings.Contains(r.stderr, "brnach") {
		t.Errorf("ls says %d, %s", r.code, r.stderr)
	}
}
