package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/failpoint"
)

// TestProductHasNoFailpoints looks for the variable's name in the program, which contains it only
// with the tag.
func TestProductHasNoFailpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it links the program twice")
	}
	for _, c := range []struct {
		tags string
		want bool
	}{{"", false}, {"failpoints", true}} {
		path := filepath.Join(t.TempDir(), "pinion")
		if out, err := exec.Command("go", "build", "-tags", c.tags, "-o", path,
			".").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(text, []byte(failpoint.Env)); got != c.want {
			t.Errorf("with the tags %q: that the program reads failpoints is %t", c.tags, got)
		}
	}
}

// TestLinksNoDaemon fails if the program links packages of the daemon, which slow down every start.
func TestLinksNoDaemon(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.Lines(string(out)) {
		for _, heavy := range []string{
			"pinion/cmd/internal/daemon/serve", "k8s.io/", "github.com/docker/buildx",
			"github.com/moby/buildkit/worker", "github.com/moby/buildkit/control",
			"github.com/moby/buildkit/solver/llbsolver", "github.com/moby/buildkit/executor",
			"github.com/containerd/containerd/v2/plugins/snapshots",
		} {
			if strings.Contains(path, heavy) {
				t.Errorf("linked: %s", path)
			}
		}
	}
}
