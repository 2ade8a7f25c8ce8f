package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestOperatingDocument runs the shell lines of docs/operating.md as they are, with a template
// without an image.
func TestOperatingDocument(t *testing.T) {
	s := newScene(t, containerdOwn)
	partstest.Need(t, parts.NamePromtool) // Prometheus is in the same package
	tmpl := s.template(t, "notes", parts.RepoOptions{})
	tmpl.busybox(t, "RUN echo first")
	admin := s.gitea.Administrator()
	address := "http://" + freeAddress(t)
	u := s.with("FORGE", s.git.URL(), "REPO", tmpl.repo.String(), "GITEA_USER", admin.Name,
		"GITEA_PASSWORD", admin.Password, "PINION", address, "SOURCE",
		root(t), "PROMETHEUS", freeAddress(t), "PATH",
		filepath.Dir(pinionBinary(t))+":"+s.env["PATH"])
	t.Cleanup(func() { // the document names the token, and a name can be had once
		path := "/users/" + admin.Name + "/tokens/pinion"
		if err := s.gitea.Call(context.WithoutCancel(t.Context()), http.MethodDelete, path, nil,
			nil); err != nil {
			t.Error(err)
		}
	})
	out := u.script(t, "operating.md")
	for _, want := range []string{
		`pinion/[a-z0-9-]*notes\tsuccess\tbuilt in .*\t` + address + `/#/builds/`,
		`<title>Pinion</title>`,
		`pinion/[a-z0-9-]*notes\tfailure\tfailed \(build\).*`,
		`notes +\S+ +failed \(build\)`,
		`failed to calculate checksum .*nothing`,
		`\["[a-z0-9-]*notes",null,"0"\]`,
		`\["[a-z0-9-]*notes","PinionTemplateBroken","1"\]`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("nothing says %q:\n%s", want, out)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := parts.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// script runs the blocks of a document that are marked as sh, in a folder of its own, and returns
// what they print.
func (u user) script(t *testing.T, document string) string {
	t.Helper()
	partstest.Need(t, parts.NameBash, parts.NameCurl, parts.NameJQ, parts.NameOpenSSL)
	var script strings.Builder
	script.WriteString("trap 'kill $(jobs -p) 2> /dev/null || :' EXIT\n")
	for _, block := range regexp.MustCompile("(?s)\n```sh\n(.*?)```").FindAllStringSubmatch(read(t,
		filepath.Join(root(t), "docs", document)), -1) {
		script.WriteString(block[1])
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail", "-c", script.String())
	cmd.Env, cmd.Dir = u.environ(), t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
