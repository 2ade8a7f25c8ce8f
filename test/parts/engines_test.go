package parts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestEnginesSideBySide builds in all flavours while all of them run, and looks at what is left
// when they are closed.
func TestEnginesSideBySide(t *testing.T) {
	partstest.Need(t, parts.NameBuildx, parts.NameBusybox)
	before := traces(t)
	t.Run("build", func(t *testing.T) {
		dir := template(t, "RUN echo hello > /greeting")
		for _, flavour := range parts.Flavours() {
			d := partstest.Dockerd(t, flavour)
			t.Run(string(flavour), func(t *testing.T) {
				buildx(t, []string{"DOCKER_HOST=" + d.Host()}, "build", "-t", "demo", dir)
				d.Kill()
				if err := d.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
				buildx(t, []string{"DOCKER_HOST=" + d.Host()}, "build", "-t", "demo",
					"--no-cache", dir)
			})
		}
	})
	if after := traces(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

func TestBuildkitd(t *testing.T) {
	partstest.Need(t, parts.NameBuildx, parts.NameBusybox)
	before := traces(t)
	t.Run("build", func(t *testing.T) {
		dir := template(t, "RUN echo hello > /greeting")
		b := partstest.Buildkitd(t, parts.BuildkitdOptions{})
		env := []string{"BUILDX_CONFIG=" + t.TempDir()}
		buildx(t, env, "create", "--name", "own", "--driver", "remote", b.Addr())
		buildx(t, env, "build", "--builder", "own", "--output",
			"type=oci,dest="+filepath.Join(t.TempDir(), "image.tar"), dir)
		b.Kill()
		if err := b.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		buildx(t, env, "build", "--builder", "own", "--no-cache", dir)
	})
	if after := traces(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// template is a folder with a busybox template.
func template(t *testing.T, lines ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range partstest.BusyboxTemplate(t, lines...) {
		if err := os.WriteFile(filepath.Join(dir, f.Path), f.Data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func buildx(t *testing.T, env []string, args ...string) {
	t.Helper()
	path, err := parts.Locate("buildx")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("buildx %v: %v\n%s", args, err, out)
	}
}

// traces is what parts of this process could leave on the machine: links, mounts, control groups,
// processes and files of daemons. What parts of other processes have is not looked at.
func traces(t *testing.T) string {
	t.Helper()
	me := strconv.Itoa(os.Getpid())
	script := `ip -o link | grep -o 'pin'$1'-[0-9]*'
		grep "/pinion$1-" /proc/self/mountinfo; ls -d /tmp/pinion$1-*
		find /sys/fs/cgroup -name 'pinion'$1'-*'
		ps -o args= --ppid $1 | grep -v -e '^sh -c'
		ls -d /run/docker /run/containerd /etc/docker/* /var/lib/docker /var/lib/buildkit; true`
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script, "sh", me).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
