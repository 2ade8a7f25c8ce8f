package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestServerDocument runs the shell lines of docs/server.md as they are.
func TestServerDocument(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl := s.template(t, "claude-code", parts.RepoOptions{})
	sha := tmpl.busybox(t, "RUN echo documented && sleep 1")
	runtimeDir := filepath.Dir(socket(t))
	s.user = s.with("XDG_RUNTIME_DIR", runtimeDir)
	s.start(t, "serve")
	path := filepath.Join(runtimeDir, "pinion", "pinion.sock")
	eventually(t, "a socket", func() bool { _, err := os.Stat(path); return err == nil })
	out := s.script(t, "server.md")
	for _, word := range []string{"sha256:", "event: resolved", "event: done", tmpl.reference(sha),
		"claude-code\tdone", "hermes"} {
		if !strings.Contains(out, word) {
			t.Errorf("nothing says %q:\n%s", word, out)
		}
	}
	srv := clientOf(t, path)
	eventually(t, "the end of what was withdrawn", func() bool {
		b := srv.builds(t)[0]
		return b.State == pinion.BuildFailed && b.Failure.Class == pinion.ClassCancelled
	})
}
