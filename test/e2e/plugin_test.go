package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// dockerCLI starts Docker's client, which must be installed.
func (u user) dockerCLI(t *testing.T, args ...string) *process {
	t.Helper()
	partstest.Need(t, parts.NameDocker)
	path, err := exec.LookPath("docker")
	if err != nil {
		t.Fatal(err)
	}
	return u.startProgram(t, path, args...)
}

// dockerSucceed runs Docker's client, which must exit with 0.
func (u user) dockerSucceed(t *testing.T, args ...string) result {
	t.Helper()
	r := u.dockerCLI(t, args...).result(t)
	if r.code != 0 {
		t.Fatalf("docker %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// installPlugin gives a folder of Docker's configuration the plugin.
func installPlugin(t *testing.T, config string) {
	t.Helper()
	dir := filepath.Join(config, "cli-plugins")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pinionBinary(t), filepath.Join(dir, "docker-pinion")); err != nil {
		t.Fatal(err)
	}
}

// TestPlugin calls Pinion through Docker's client, whose flags before the plugin's name choose the
// engine.
func TestPlugin(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, sha := s.prepare(t, "RUN echo plugged in")
	home := filepath.Join(s.env["HOME"], ".docker")
	installPlugin(t, home)
	ref := tmpl.reference(sha) + "\n"
	if r := s.dockerSucceed(t, "pinion", "ensure", runtime); r.stdout != ref ||
		!strings.Contains(r.stderr, "plugged in") {
		t.Errorf("stdout is %q, stderr\n%s", r.stdout, r.stderr)
	}

	// Nothing but the flag leads to the engine from here on.
	u := s.with("DOCKER_HOST", "unix:///nowhere")
	id := s.id(t, tmpl.reference(sha)) + "\n"
	u.dockerSucceed(t, "context", "create", "there", "--docker", "host="+s.engine.URL())
	other := t.TempDir()
	installPlugin(t, other)
	if err := os.CopyFS(filepath.Join(other, "contexts"),
		os.DirFS(filepath.Join(home, "contexts"))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(other, "config.json"), `{"currentContext":"there"}`, 0o600)
	for _, c := range []struct {
		user  user
		flags []string
	}{
		{u, []string{"--context", "there"}},
		{u, []string{"-c", "there", "-l", "error"}},
		{u, []string{"-H", s.engine.URL()}},
		{s.with("DOCKER_HOST", ""), []string{"--config", other}},
		{s.user, []string{"--context", "default"}},
	} {
		args := slices.Concat(c.flags, []string{"pinion", "ensure", "-q", runtime})
		if r := c.user.dockerSucceed(t, args...); r.stdout != id {
			t.Errorf("docker %v: stdout is %q", args, r.stdout)
		}
	}
	r := u.dockerCLI(t, "--tls", "--tlscacert", "/x/other.pem", "pinion", "ls").result(t)
	if r.code != exitUsage || !strings.Contains(r.stderr, "DOCKER_CERT_PATH") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	if r := s.dockerSucceed(t, "-D", "pinion", "ensure", "--no-cache", runtime); r.stdout != ref {
		t.Errorf("stdout is %q", r.stdout)
	}
	if r := s.dockerSucceed(
		t, "-l", "error", "pinion", "ensure", "--progress", "quiet", runtime,
	); strings.Contains(r.stderr, "Provisioner") {
		t.Errorf("-l error shows\n%s", r.stderr)
	}
	if r := s.dockerCLI(t, "pinion", "ensure", "unknown-thing").result(t); r.code != exitNotFound ||
		!strings.Contains(r.stderr, "unknown-thing") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	if r := s.dockerCLI(t, "pinion", "ensure").result(t); r.code != exitUsage ||
		!strings.Contains(r.stderr, "docker pinion ensure --help") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	s.dockerSucceed(t, "pinion", "reset", "-f", runtime)
	if left := s.id(t, tmpl.reference(sha)); left != "" {
		t.Errorf("after a reset there is %s", left)
	}
}

// TestPluginHelp: Docker's client lists the plugin in its help.
func TestPluginHelp(t *testing.T) {
	u := newUser(t)
	installPlugin(t, filepath.Join(u.env["HOME"], ".docker"))
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{"help"}, []string{"pinion*", "pinned Git commit"}},
		{[]string{"help", "pinion"}, []string{"docker pinion [flags]", "docker pinion exit-codes",
			"BUILDKIT_HOST"}},
		{[]string{"pinion", "--help"}, []string{"docker pinion [command]"}},
		{[]string{"pinion", "ensure", "--help"},
			[]string{"docker pinion ensure [flags] NAME...", "--metadata-file"}},
		{[]string{"pinion", "help", "exit-codes"}, []string{"130  cancelled"}},
	} {
		r := u.dockerSucceed(t, c.args...)
		for _, word := range c.words {
			if !strings.Contains(r.stdout, word) {
				t.Errorf("docker %v does not say %q:\n%s%s", c.args, word, r.stdout, r.stderr)
			}
		}
	}
	var plugin struct{ SchemaVersion, Vendor, Version, ShortDescription string }
	text := u.startProgram(t, filepath.Join(u.env["HOME"], ".docker", "cli-plugins",
		"docker-pinion"), "docker-cli-plugin-metadata").result(t).stdout
	if err := json.Unmarshal([]byte(text), &plugin); err != nil ||
		plugin.SchemaVersion != "0.1.0" || plugin.Vendor == "" || plugin.Version == "" {
		t.Errorf("the metadata are %+v, %v", plugin, err)
	}
	// Docker's client of 20.10 completes no plugins.
	if version := u.dockerSucceed(t, "--version").stdout; !strings.Contains(version,
		"version 20.") {
		for _, c := range []struct{ args, words []string }{
			{[]string{"ensure", "cl"}, []string{"claude-code\n", "hermes\n"}},
			{[]string{"ensure", "--prog"}, []string{"--progress"}},
			{[]string{"ensure", "--progress", ""}, []string{"rawjson\n"}},
			{[]string{"en"}, []string{"ensure"}},
		} {
			r := u.dockerSucceed(t, append([]string{"__completeNoDesc", "pinion"}, c.args...)...)
			for _, word := range c.words {
				if !strings.Contains(r.stdout, word) {
					t.Errorf("%v completes to\n%s", c.args, r.stdout)
				}
			}
		}
	}
}

// TestPluginInterrupted: a signal to Docker's client alone ends the build, too.
func TestPluginInterrupted(t *testing.T) {
	s := newScene(t, containerdOwn)
	installPlugin(t, filepath.Join(s.env["HOME"], ".docker"))
	if version := s.dockerSucceed(t, "--version").stdout; strings.Contains(version, "version 20.") {
		t.Skip("Docker's client of 20.10 passes nothing to its plugins")
	}
	gate := newBuildGate(t)
	s.prepare(t, gate.add())
	p := s.dockerCLI(t, "pinion", "ensure", runtime)
	receive(t, "the build", gate.arrived)
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if r := p.result(t); r.code != exitCancelled || r.stdout != "" {
		t.Errorf("exit code %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
	}
	receive(t, "the end of the solve", gate.gone)
	wantNoTrace(t, s)
}

// TestInstall: what `make install` leaves is found by Docker's client, and `make uninstall` removes
// it.
func TestInstall(t *testing.T) {
	partstest.Need(t, parts.NameDocker)
	u := newUser(t)
	prefix := filepath.Join(u.env["HOME"], ".local")
	run := func(target string, vars ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "make",
			append([]string{"-C", root(t), target}, vars...)...)
		cmd.Env = append(os.Environ(), "HOME="+u.env["HOME"], "DOCKER_CONFIG=",
			"GOPATH="+goEnv(t, "GOPATH"), "GOCACHE="+goEnv(t, "GOCACHE"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make %s: %v\n%s", target, err, out)
		}
	}
	run("install", "PREFIX="+prefix)
	for name, run := range map[string]func() result{
		"pinion": func() result {
			return u.startProgram(t, filepath.Join(prefix, "bin", "pinion"), "version").result(t)
		},
		"docker pinion": func() result { return u.dockerCLI(t, "pinion", "version").result(t) },
	} {
		if r := run(); r.code != 0 || !strings.HasPrefix(r.stdout, "pinion ") {
			t.Errorf("%s: exit code %d, %q\n%s", name, r.code, r.stdout, r.stderr)
		}
	}
	staged := t.TempDir()
	run("install", "PREFIX=/usr", "DESTDIR="+staged)
	if to, err := os.Readlink(filepath.Join(staged,
		"usr/libexec/docker/cli-plugins/docker-pinion")); err != nil || to != "/usr/bin/pinion" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	run("uninstall", "PREFIX=/usr", "DESTDIR="+staged)
	run("uninstall", "PREFIX="+prefix)
	for _, dir := range []string{staged, prefix, filepath.Join(u.env["HOME"], ".docker")} {
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.Contains(d.Name(), "pinion") {
				t.Errorf("%s is left", path)
			}
			return nil
		})
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
