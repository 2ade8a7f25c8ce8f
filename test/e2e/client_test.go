package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clientProgram is the example of the Go client, which links the client's module alone.
func clientProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example")
	cmd := exec.Command("go", "build", "-o", path, "./example")
	cmd.Dir = filepath.Join(root(t), "client")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// TestClientProgram runs it as a contributor would: it starts the server, which builds, and its
// next run finds that server and starts a container from the ID, which stays up.
func TestClientProgram(t *testing.T) {
	example := clientProgram(t)
	onCells(t, []cell{containerdOwn, classicOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, sha := s.prepare(t, "RUN echo made by a step", `CMD ["sh", "-c", "sleep 600"]`)
		u := s.with("XDG_RUNTIME_DIR", filepath.Dir(socket(t)), "PATH",
			filepath.Dir(pinionBinary(t))+string(os.PathListSeparator)+os.Getenv("PATH"))
		run := func(args ...string) (id, log string) {
			t.Helper()
			cmd := exec.Command(example, append(args, "-idle-exit", "3s", runtime)...)
			cmd.Env = u.environ()
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, &stderr)
			}
			return strings.TrimSpace(stdout.String()), stderr.String()
		}
		id, log := run()
		if id != s.id(t, tmpl.reference(sha)) || !strings.Contains(log, "made by a step") {
			t.Fatalf("built %s\n%s", id, log)
		}
		name := s.prefix + "client"
		if again, log := run("-run", name); again != id || log != "hit\ndone\n" {
			t.Errorf("the second run gives %s\n%s", again, log)
		}
		sockets := filepath.Join(u.env["XDG_RUNTIME_DIR"], "pinion", "client-*.sock")
		if found, _ := filepath.Glob(sockets); len(found) != 1 {
			t.Errorf("servers: %v", found)
		}
		defer s.removeContainer(t, name)
		wantRunning(t, s.container(t, name), id)
		eventually(t, "the end of the idle server", func() bool {
			found, _ := filepath.Glob(sockets)
			return len(found) == 0
		})
	})
}
