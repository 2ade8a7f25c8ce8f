package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

func TestCommandResolve(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, sha := s.prepare(t)
	text := s.succeed(t, "resolve", runtime).stdout
	for _, word := range []string{"local-build", tmpl.url(), "refs/heads/main", sha,
		tmpl.reference(sha)} {
		if !strings.Contains(text, word) {
			t.Errorf("it does not say %q:\n%s", word, text)
		}
	}
	var got pinion.Resolution
	if err := json.Unmarshal([]byte(s.succeed(t, "resolve", runtime, "--format", "json").stdout),
		&got); err != nil {
		t.Fatal(err)
	}
	if want := (pinion.Resolution{
		Name: runtime, Mode: "local-build", Reference: tmpl.reference(sha), Repository: tmpl.url(),
		Ref: "refs/heads/main", Revision: got.Revision,
	}); got != want || got.Revision.String() != sha {
		t.Errorf("got %+v, not %+v", got, want)
	}
	if n := len(s.engine.Requests()); n != 0 {
		t.Errorf("the engine was asked %d times", n)
	}
}

func TestCommandLs(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, first := s.prepare(t, "RUN echo first")
	a := s.ensure(t, pinion.OutcomeBuilt)
	tmpl.busybox(t, "RUN echo second")
	b := s.ensure(t, pinion.OutcomeBuilt)
	var listed []pinion.Built
	for line := range strings.Lines(s.succeed(t, "ls", "--format", "json").stdout) {
		var built pinion.Built
		if err := json.Unmarshal([]byte(line), &built); err != nil {
			t.Fatal(err)
		}
		listed = append(listed, built)
	}
	if len(listed) != 2 || listed[0].ImageID != b.ID || listed[1].ImageID != a.ID ||
		listed[1].Revision != first || listed[0].Size <= 0 {
		t.Errorf("listed are %+v", listed)
	}
	table := s.succeed(t, "ls").stdout
	if !strings.Contains(table, runtime) || !strings.Contains(table, first[:12]) {
		t.Errorf("the table is\n%s", table)
	}
	s.remove(t, a.ID, true)
	if table := s.succeed(t, "ls").stdout; strings.Contains(table, first[:12]) {
		t.Errorf("what was removed is listed:\n%s", table)
	}
	if out := newUser(t).with("DOCKER_HOST", s.env["DOCKER_HOST"]).succeed(t, "ls",
		"-q").stdout; out != "" {
		t.Errorf("somebody else's images are listed: %q", out)
	}
}

func TestCommandDoctor(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.template(t, "claude-code", parts.RepoOptions{}).busybox(t)
		checks := doctor(t, s.user, 0)
		for _, name := range []string{"mode", "token", "git server", "engine", "builder",
			"build cache", "platform", "cache folder", "disk"} {
			check, ok := checks[name]
			if !ok || check.Status == pinion.StatusFail || check.Detail == "" {
				t.Errorf("%s: %+v", name, check)
			}
		}
		if s.engine.Count("/images/load") != 0 || s.git.Count("info/refs") != 0 {
			t.Error("it did more than look")
		}
	})
	t.Run("a platform that does not run", func(t *testing.T) {
		s := newScene(t, containerdOwn)
		s.template(t, "claude-code", parts.RepoOptions{}).busybox(t)
		got := doctor(t, s.with("MOLECULE_IMAGE_PLATFORM", "linux/s390x"), 0)["platform"]
		if got.Status != pinion.StatusWarn || !strings.Contains(got.Detail, "--install s390x") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("failures", func(t *testing.T) {
		s := newScene(t, containerdOwn)
		s.template(t, "claude-code", parts.RepoOptions{}).busybox(t)
		for _, c := range []struct {
			user  user
			check string
			code  int
		}{
			{s.with("DOCKER_HOST", "unix:///nowhere"), "engine", exitStore},
			{s.with("BUILDKIT_HOST", "unix:///nowhere"), "builder", exitNoBuilder},
			{s.with("MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", "http://127.0.0.1:1/t-"), "git server",
				exitUnreachable},
		} {
			if checks := doctor(t, c.user, c.code); checks[c.check].Status != pinion.StatusFail {
				t.Errorf("%s: %+v", c.check, checks)
			}
		}
	})
}

// doctor runs it and returns its checks by name.
func doctor(t *testing.T, u user, code int) map[string]pinion.Check {
	t.Helper()
	r := u.run(t, "doctor", "--format", "json")
	if r.code != code {
		t.Errorf("exit code %d, not %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	var report struct {
		OK     bool           `json:"ok"`
		Checks []pinion.Check `json:"checks"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatalf("%v in %q", err, r.stdout)
	}
	if report.OK != (code == 0) {
		t.Errorf("ok is %t with exit code %d", report.OK, r.code)
	}
	checks := map[string]pinion.Check{}
	for _, c := range report.Checks {
		checks[c.Name] = c
	}
	return checks
}
