package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
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
// next run finds that server. A container made from the ID that it prints stays up.
func TestClientProgram(t *testing.T) {
	example := clientProgram(t)
	onCells(t, []cell{containerdOwn, classicOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, sha := s.prepare(t, "RUN echo made by a step", `CMD ["sh", "-c", "sleep 600"]`)
		u := s.with("XDG_RUNTIME_DIR", filepath.Dir(socket(t)), "PATH",
			filepath.Dir(pinionBinary(t))+string(os.PathListSeparator)+os.Getenv("PATH"))
		run := func() (id, log string) {
			t.Helper()
			cmd := exec.Command(example, "-idle-exit", "3s", runtime)
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
		if again, log := run(); again != id || log != "hit\ndone\n" {
			t.Errorf("the second run gives %s\n%s", again, log)
		}
		sockets := filepath.Join(u.env["XDG_RUNTIME_DIR"], "pinion", "client-*.sock")
		if found, _ := filepath.Glob(sockets); len(found) != 1 {
			t.Errorf("servers: %v", found)
		}
		made, err := s.docker.ContainerCreate(t.Context(), client.ContainerCreateOptions{
			Name: s.prefix + "client", Config: &container.Config{Image: id}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.docker.ContainerStart(t.Context(), made.ID,
			client.ContainerStartOptions{}); err != nil {
			t.Error(err)
		}
		defer s.removeContainer(t, made.ID)
		wantRunning(t, s.container(t, made.ID), id)
		eventually(t, "the end of the idle server", func() bool {
			found, _ := filepath.Glob(sockets)
			return len(found) == 0
		})
	})
}
