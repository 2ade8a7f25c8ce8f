package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// managedScene is a template and a user whose builder is Pinion's own. It ends with the test.
type managedScene struct {
	user
	bin, state string
	prefix     string // of the repositories' URLs
}

func newManagedScene(t *testing.T) managedScene {
	t.Helper()
	partstest.Need(t, parts.NameRunc, parts.NameGit)
	m := managedScene{bin: bothBinaries(t), state: filepath.Join(partstest.Dir(t), "state")}
	server := partstest.GitHTTP(t)
	if err := server.CreateRepo(t.Context(), "x-"+runtime, parts.SHA1); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Push(t.Context(), "x-"+runtime,
		parts.Commit{Files: busybox(t, "RUN echo built")}); err != nil {
		t.Fatal(err)
	}
	m.prefix = server.URL() + "/x-"
	m.user = newUser(t).with("PINION_BUILDKIT_ROOT", m.state,
		"MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", m.prefix)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, m.bin, "builder", "stop", "--timeout", "0s")
		cmd.Env = m.environ()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("stop: %v\n%s", err, out)
		}
	})
	return m
}

// The command line from a template to a container's image, with a builder of its own beside an
// engine: start, hit, status, and stop.
func TestManagedBuilderOnTheCommandLine(t *testing.T) {
	m := newManagedScene(t)
	u := m.with("DOCKER_HOST", partstest.Dockerd(t, parts.Docker20).Host())
	pinion := func(args ...string) (stdout string) {
		t.Helper()
		return runBinary(t, u, m.bin, args...)
	}

	var img struct {
		Outcome string
		Builder struct{ Kind, Version string }
	}
	decode(t, pinion("ensure", "--builder", "managed", "--format", "json", runtime), &img)
	if img.Outcome != "built" || img.Builder.Kind != "managed" ||
		!strings.HasPrefix(img.Builder.Version, "v0.") ||
		strings.Contains(img.Builder.Version, "unknown") {
		t.Errorf("got %+v", img)
	}
	var st struct {
		Running bool
		Root    string
		Process *struct {
			ActiveBuilds int   `json:"active_builds"`
			DiskUsage    int64 `json:"disk_usage"`
		}
	}
	decode(t, pinion("builder", "status", "--format", "json"), &st)
	if !st.Running || st.Root != m.state || st.Process.ActiveBuilds != 0 ||
		st.Process.DiskUsage == 0 {
		t.Errorf("got %+v, %+v", st, st.Process)
	}
	if out := pinion(
		"doctor", "--builder", "managed", "--repo-prefix", m.prefix,
	); !strings.Contains(out, "managed "+img.Builder.Version) {
		t.Errorf("got %s", out)
	}
	pinion("builder", "stop")
	decode(t, pinion("ensure", "--builder", "managed", "--format", "json", runtime), &img)
	decode(t, pinion("builder", "status", "--format", "json"), &st)
	if img.Outcome != "hit" || st.Running {
		t.Errorf("a hit: %+v, and the builder runs: %t", img, st.Running)
	}
}

// The managed builder delivers into both stores of today's engine, layer by layer, and its log can
// be followed across its end and its next start.
func TestManagedBuilderIntoBothStores(t *testing.T) {
	partstest.OnSomeDays(t)
	m := newManagedScene(t)
	runBinary(t, m.with("PINION_STORE", "oci:"+t.TempDir()), m.bin, "ensure", "--builder",
		"managed", runtime)
	follower := m.startProgram(t, m.bin, "builder", "logs", "--follow")
	serves := func() int { return strings.Count(follower.stdout.String(), "serves") }
	eventually(t, "what is in the log", func() bool { return serves() == 1 })
	runBinary(t, m.user, m.bin, "builder", "stop")
	for _, flavour := range []parts.Flavour{parts.Docker29Containerd, parts.Docker29Classic} {
		docker := engine(t, flavour)
		u := m.with("DOCKER_HOST", docker.Host())
		var img struct {
			Outcome  string
			ID       string `json:"image_id"`
			Builder  struct{ Kind string }
			Delivery struct {
				Method string
				Bytes  int64
			}
		}
		ensure := func() {
			decode(t, runBinary(t, u, m.bin, "ensure", "--builder", "managed", "--format", "json",
				runtime), &img)
		}
		ensure()
		if img.Outcome != "built" || img.Builder.Kind != "managed" ||
			img.Delivery.Method != "full" && img.Delivery.Method != "delta" ||
			img.Delivery.Bytes == 0 {
			t.Errorf("%s: got %+v", flavour, img)
		}
		if _, err := dockerClient(t, docker.Host()).ImageInspect(t.Context(), img.ID); err != nil {
			t.Errorf("%s: %v", flavour, err)
		}
		if ensure(); img.Outcome != "hit" {
			t.Errorf("%s: got %+v", flavour, img)
		}
	}
	eventually(t, "the log of the next start", func() bool { return serves() == 2 })
	if err := follower.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := follower.wait(t); code != 0 && code != exitCancelled {
		t.Errorf("interrupted, it exits with %d\n%s", code, follower.stderr)
	}
}

// bothBinaries builds the command and the builder's program, which belongs beside it.
func bothBinaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-ldflags=-X main.version=v0-test", "-o",
		dir+string(os.PathSeparator), "./cmd/pinion", "./cmd/pinion-buildkitd")
	cmd.Dir = root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "pinion")
}

func runBinary(t *testing.T, u user, bin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = u.environ()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pinion %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

func decode(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
}
