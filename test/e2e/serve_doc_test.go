package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestServerDocument runs the shell lines of docs/server.md as they are.
func TestServerDocument(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	s := newScene(t, containerdOwn)
	tmpl := s.template(t, "claude-code", parts.RepoOptions{})
	sha := tmpl.busybox(t, "RUN echo documented && sleep 1")
	runtimeDir := filepath.Dir(socket(t))
	s.user = s.with("XDG_RUNTIME_DIR", runtimeDir)
	s.start(t, "serve")
	path := filepath.Join(runtimeDir, "pinion", "pinion.sock")
	eventually(t, "a socket", func() bool { _, err := os.Stat(path); return err == nil })
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)\n```sh\n(.*?)```").FindAllStringSubmatch(read(t,
		filepath.Join(root(t), "docs", "server.md")), -1) {
		script.WriteString(block[1])
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail", "-c", script.String())
	cmd.Env, cmd.Dir = s.environ(), t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, word := range []string{"sha256:", "event: resolved", "event: done", tmpl.reference(sha),
		"claude-code\tdone", "hermes"} {
		if !strings.Contains(string(out), word) {
			t.Errorf("nothing says %q:\n%s", word, out)
		}
	}
	srv := clientOf(t, path)
	eventually(t, "the end of what was withdrawn", func() bool {
		b := srv.builds(t)[0]
		return b.State == pinion.BuildFailed && b.Failure.Class == pinion.ClassCancelled
	})
}
