package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestClientStartsTheServer runs a program with the Go client, which starts `pinion serve` as it
// would for a contributor, and again with the server that runs then.
func TestClientStartsTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it links the program")
	}
	dir, err := os.MkdirTemp("", "pinion-") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for folder, target := range map[string]string{
		".": "pinion", "../../client/example": "example",
	} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, target), ".")
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build in %s: %v\n%s", folder, err, out)
		}
	}
	ask := func(name string) string {
		cmd := exec.Command(filepath.Join(dir, "example"), "-idle-exit", "2s", name)
		cmd.Env = append(os.Environ(), "PATH="+dir, "HOME="+dir, "XDG_RUNTIME_DIR="+dir+"/r",
			"XDG_CACHE_HOME="+dir, "DOCKER_HOST=unix://"+dir+"/docker.sock",
			"PINION_SERVE_TOKEN=of-some-other-server", "MOLECULE_IMAGE_REGISTRY=",
			"MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX=http://127.0.0.1:1/a/x-")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err == nil {
			t.Errorf("%s succeeded", name)
		}
		return stderr.String()
	}
	if got := ask("no-such-name"); !strings.Contains(got, "not-found: no-such-name: catalogue: ") {
		t.Errorf("an unknown name:\n%s", got)
	}
	if got := ask("claude-code"); !strings.Contains(got, "failed\n") ||
		strings.Contains(got, "no server answers") {
		t.Errorf("without a git server and an engine:\n%s", got)
	}
	sockets := filepath.Join(dir, "r", "pinion", "client-*.sock")
	if found, _ := filepath.Glob(sockets); len(found) != 1 {
		t.Errorf("servers after two requests: %v", found)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		found, _ := filepath.Glob(sockets)
		if len(found) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the idle server did not end: %v", found)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
