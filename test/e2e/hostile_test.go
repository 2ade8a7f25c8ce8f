package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestFault54_FrontendIsRefused before the builder asks for it.
func TestFault54_FrontendIsRefused(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		registry := newBuildGate(t)
		registry.open()
		image := strings.TrimPrefix(registry.url, "http://") + "/evil/frontend"
		s.template(t, runtime, parts.RepoOptions{}).push(t,
			parts.Text("Dockerfile", "# syntax="+image+"\nFROM scratch\n"))
		s.fail(t, exitBuild, []string{"line 1", image, "not allowed"}, "ensure", runtime)
		if len(registry.arrived) != 0 {
			t.Error("the frontend's registry was asked")
		}
		wantNoTrace(t, s)
		// The operator may allow it: then it is asked for. (There is none.)
		config := write(t, filepath.Join(s.env["HOME"], "allow.yaml"),
			"frontends: ['"+image+"']\n", 0o600)
		// The registry's answer is nonsense, which BuildKit of today takes for an old image.
		code := exitBuild
		if c == oldOwn {
			code = exitUnreachable
		}
		if r := s.run(t, "--config", config, "ensure", runtime); r.code != code ||
			strings.Contains(r.stderr, "not allowed") || len(registry.arrived) == 0 {
			t.Errorf("exit code %d after %d requests for the frontend\n%s", r.code,
				len(registry.arrived), r.stderr)
		}
	})
}

// TestFault57_SubmodulesAreNotBuilt: they are left out if the builder can do that, otherwise the
// repository is refused.
func TestFault57_SubmodulesAreNotBuilt(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		other := partstest.GitHTTP(t)
		if err := other.CreateRepo(t.Context(), "module", ""); err != nil {
			t.Fatal(err)
		}
		sha, err := other.Push(t.Context(), "module",
			parts.Commit{Files: []parts.File{parts.Text("payload", "x")}})
		if err != nil {
			t.Fatal(err)
		}
		module := partstest.Proxy(t, other.URL())
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		tmpl.push(t, append(busybox(t, "COPY . /context", "CMD find /context"),
			parts.Submodule("m", sha),
			parts.Text(".gitmodules",
				"[submodule \"m\"]\n\tpath = m\n\turl = "+module.URL()+"/module.git\n"))...)
		if c == oldOwn {
			s.fail(t, exitBuild, []string{"submodules"}, "ensure", runtime)
			wantNoTrace(t, s)
			return
		}
		r := s.succeed(t, "ensure", runtime)
		if !strings.Contains(r.stderr, "submodules are not fetched") {
			t.Errorf("no warning:\n%s", r.stderr)
		}
		if requests := module.Requests(); len(requests) != 0 {
			t.Errorf("the submodule's server was asked %+v", requests)
		}
		if out := s.runContainer(
			t, strings.TrimSpace(r.stdout),
		); strings.Contains(out, "payload") || !strings.Contains(out, "/context/Dockerfile") {
			t.Errorf("the context is\n%s", out)
		}
	})
}

// TestFault58_HostileOutput: what a build prints does nothing to a terminal.
func TestFault58_HostileOutput(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, `RUN printf '\033]0;owned\007\342\200\256evil\033[2J\n' && exit 1`)
		for _, format := range []string{"text", "json"} {
			r := s.fail(t, exitBuild, []string{"evil"}, "ensure", runtime, "--progress", "plain",
				"--format", format)
			if strings.ContainsAny(r.stderr, "\x1b\x07\u202e") {
				t.Errorf("control characters came through: %q", r.stderr)
			}
		}
	})
}

// TestFault55_EntitlementsAreRefused: a Dockerfile that asks for more than a build may have.
func TestFault55_EntitlementsAreRefused(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		for _, flag := range []string{"--network=host", "--security=insecure"} {
			tmpl.busybox(t, "RUN "+flag+" echo granted-$((1+1))")
			if r := s.fail(
				t, exitBuild, nil, "ensure", runtime,
			); strings.Contains(r.stderr, "granted-2") {
				t.Errorf("%s was granted:\n%s", flag, r.stderr)
			}
		}
		wantNoTrace(t, s)
	})
}
