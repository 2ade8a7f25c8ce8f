package e2e_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
)

// stores are one cell for each engine and image store.
func stores() []cell { return []cell{containerdOwn, classicOwn, oldOwn} }

// direct is the scene's user without the proxy before the engine, which cannot close one direction
// of a connection.
func (s *scene) direct(t *testing.T) user {
	t.Helper()
	return s.with("DOCKER_HOST", engine(t, s.store).Host())
}

// container is what the engine knows of one.
func (s *scene) container(t *testing.T, name string) container.InspectResponse {
	t.Helper()
	got, err := s.docker.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Container
}

func (s *scene) hasContainer(t *testing.T, name string) bool {
	t.Helper()
	_, err := s.docker.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	if err != nil && !cerrdefs.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

func (s *scene) removeContainer(t *testing.T, name string) {
	t.Helper()
	if _, err := s.docker.ContainerRemove(context.WithoutCancel(t.Context()), name,
		client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Error(err)
	}
}

func TestRun(t *testing.T) {
	onCells(t, stores(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		_, sha := s.prepare(t, "RUN echo built > /word",
			`CMD ["sh", "-c", "cat /word; echo oops >&2; exit 3"]`)
		u := s.direct(t)

		r := u.run(t, "run", runtime, "--rm", "--name", s.prefix+"first")
		if r.code != 3 || r.stdout != "built\n" || !strings.HasSuffix(r.stderr, "oops\n") ||
			strings.Contains(r.stderr, "pinion: error") {
			t.Errorf("got %+v", r)
		}
		if s.hasContainer(t, s.prefix+"first") {
			t.Error("--rm left the container")
		}

		// A hit; stdin to its end; and what stands behind -- instead of the image's command.
		piped := u.startReading(t, strings.NewReader("one\ntwo\n"), "run", "-i", "--rm", runtime,
			"--", "sh", "-c", "cat; echo end").result(t)
		if piped.code != 0 || piped.stdout != "one\ntwo\nend\n" {
			t.Errorf("got %+v", piped)
		}
		if closed := u.startReading(t, strings.NewReader("unread"), "run", "--rm", runtime, "--",
			"sh", "-c", "cat").result(t); closed.code != 0 || closed.stdout != "" {
			t.Errorf("without -i: %+v", closed)
		}

		env := u.with("TIER", "2", "MINE", "m").succeed(t, "run", "--rm", "-e", "MINE", "-e",
			"PLATFORM_URL=http://p", runtime, "--", "sh", "-c", "env").stdout
		for _, want := range []string{"TIER=2\n", "MINE=m\n", "PLATFORM_URL=http://p\n",
			"WORKSPACE_ID="} {
			if !strings.Contains(env, want) {
				t.Errorf("the variables lack %s:\n%s", want, env)
			}
		}
		if strings.Contains(env, "PARENT_ID") {
			t.Errorf("the variables are\n%s", env)
		}

		id := strings.TrimSpace(u.succeed(t, "run", "-d", "--name", s.prefix+"kept", runtime, "--",
			"sh", "-c", "sleep 600").stdout)
		defer s.removeContainer(t, s.prefix+"kept")
		got := s.container(t, id)
		if want := s.id(t,
			"molecule-local/workspace-template-hermes:"+sha[:12]); got.Image != want ||
			got.Config.Image != want || !got.State.Running {
			t.Errorf("container of %s (%s), running %t; want %s", got.Image, got.Config.Image,
				got.State.Running, want)
		}
	})
}

// TestRunFailures: what never ran has a code that says so, and leaves nothing.
func TestRunFailures(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "CMD true")
		u := s.direct(t)
		u.fail(t, exitUsage, []string{"the name of a template is missing"}, "run")
		u.fail(t, exitNotFound, []string{"nosuch"}, "run", "nosuch")
		u.fail(t, exitContainer, []string{"start the container", "/nosuch"}, "run", "--name",
			s.prefix+"none", runtime, "--", "/nosuch")
		if s.hasContainer(t, s.prefix+"none") {
			t.Error("a container that was not started is left")
		}
		u.succeed(t, "run", "--name", s.prefix+"one", runtime)
		defer s.removeContainer(t, s.prefix+"one")
		u.fail(t, exitContainer, []string{"create the container", s.prefix + "one"}, "run",
			"--name", s.prefix+"one", runtime)
	})
}

func TestRunForwardsSignals(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "CMD true")
		script := `trap 'echo terminated; exit 9' TERM; trap 'echo interrupted; exit 8' INT
			echo ready; while :; do sleep 0.1; done`
		for sig, want := range map[os.Signal]result{syscall.SIGTERM: {stdout: "ready\nterminated\n",
			code: 9}, syscall.SIGINT: {stdout: "ready\ninterrupted\n", code: 8}} {
			p := s.direct(t).start(t, "run", "--rm", "--name", s.prefix+"sig", runtime, "--",
				"sh", "-c", script)
			eventually(t, "the container is ready", func() bool {
				return strings.Contains(p.stdout.String(), "ready")
			})
			if err := p.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if r := p.result(t); r.code != want.code || r.stdout != want.stdout {
				t.Errorf("%s: got %+v", sig, r)
			}
			if s.hasContainer(t, s.prefix+"sig") {
				t.Error("--rm left the container")
			}
		}
	})
}

// TestRunCancelledDuringTheBuild makes no container.
func TestRunCancelledDuringTheBuild(t *testing.T) {
	s := newScene(t, containerdOwn)
	gate := newBuildGate(t)
	s.prepare(t, gate.add())
	p := s.direct(t).start(t, "run", "--name", s.prefix+"never", runtime)
	receive(t, "the build", gate.arrived)
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if r := p.result(t); r.code != exitCancelled || r.stdout != "" ||
		s.hasContainer(t, s.prefix+"never") {
		t.Errorf("got %+v", r)
	}
}

// TestFault35_ContainersAreMadeOfTheID: a tag that is moved between the check and the container has
// no effect.
func TestFault35_ContainersAreMadeOfTheID(t *testing.T) {
	onCells(t, stores(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, first := s.prepare(t, "RUN echo first > /word", "CMD cat /word")
		built := s.ensure(t, pinion.OutcomeBuilt)
		tmpl.busybox(t, "RUN echo second > /word", "CMD cat /word")
		other := s.ensure(t, pinion.OutcomeBuilt)
		if err := s.gitea.Force(t.Context(), tmpl.repo, "main", first); err != nil {
			t.Fatal(err)
		}
		// The last thing that the engine hears before the container is asked for.
		s.engine.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/containers/create") {
				s.tag(t, other.ID, built.Reference)
			}
			return false
		})
		r := s.run(t, "run", "--rm", runtime)
		if r.stdout != "first\n" || s.id(t, built.Reference) != other.ID {
			t.Errorf("got %+v, and the tag is %s", r, s.id(t, built.Reference))
		}
	})
}

// TestRunDockerFlags: the engine gets what docker's own flags say.
func TestRunDockerFlags(t *testing.T) {
	onCells(t, stores(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, `ENTRYPOINT ["false"]`)
		volume := s.prefix + "data"
		t.Cleanup(func() { s.removeVolumes(t, volume) })
		write(t, filepath.Join(s.env["HOME"], "env"), "FROM_FILE=yes\n", 0o600)
		u := s.direct(t)
		r := u.run(t, "run", runtime, "--rm", "--entrypoint", "sh", "-v", volume+":/data",
			"--tmpfs", "/scratch", "-w", "/data", "-u", "0:7", "--hostname", "box", "--network",
			"none", "-e", "A=b", "--env-file", filepath.Join(s.env["HOME"], "env"), "--", "-c",
			"pwd; id -g; hostname; echo $A $FROM_FILE $PYTHONPATH; grep -c scratch /proc/mounts")
		if want := "/data\n7\nbox\nb yes /app\n1\n"; r.code != 0 || r.stdout != want {
			t.Errorf("got %+v, want %q", r, want)
		}
	})
}

// TestRunAsWorkspace: the container stays up, of the pinned image, with a workspace's settings.
func TestRunAsWorkspace(t *testing.T) {
	onCells(t, stores(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, sha := s.prepare(t, `CMD touch "$WORKSPACE_CONFIG_PATH/x" && echo up && sleep 600`)
		u := s.with("DOCKER_HOST", engine(t, s.store).Host(), "WORKSPACE_ID", s.prefix+"w",
			"PLATFORM_URL", "http://platform")
		name := "ws-" + s.prefix + "w"
		r := u.run(t, "run", "-d", "--workspace", "--memory", "64m", runtime)
		if r.code != 0 {
			t.Fatalf("got %+v", r)
		}
		t.Cleanup(func() {
			s.removeContainer(t, name)
			s.removeVolumes(t, name+"-configs", name+"-workspace")
		})
		s.wantUp(t, name)
		got := s.container(t, name)
		s.wantRuntime(t, got, s.prefix+"w")
		if id := s.id(t, tmpl.reference(sha)); got.Image != id || got.Config.Image != id ||
			!got.State.Running || got.HostConfig.Memory != 64<<20 {
			t.Errorf("the container is of %s (%s), not %s; %+v", got.Image, got.Config.Image, id,
				got.State)
		}
	})
}

// wantRuntime checks what the platform's runtime needs of its container, and what a workspace
// server adds.
func (s *scene) wantRuntime(t *testing.T, got container.InspectResponse, id string) {
	t.Helper()
	for _, v := range []string{"WORKSPACE_ID=" + id, "WORKSPACE_CONFIG_PATH=/configs",
		"PLATFORM_URL=http://platform", "MOLECULE_URL=http://platform", "PLUGINS_DIR=/plugins",
		"PYTHONPATH=/app"} {
		if !slices.Contains(got.Config.Env, v) {
			t.Errorf("the variables lack %s: %q", v, got.Config.Env)
		}
	}
	mounts := map[string]string{}
	for _, m := range got.Mounts {
		mounts[m.Destination] = m.Name
	}
	host := got.HostConfig
	port := host.PortBindings[network.MustParsePort("8000/tcp")]
	if mounts["/configs"] != "ws-"+id+"-configs" || mounts["/workspace"] != "ws-"+id+"-workspace" ||
		len(port) != 1 || port[0].HostIP.String() != "127.0.0.1" ||
		host.RestartPolicy.Name != "unless-stopped" || host.LogConfig.Type != "json-file" ||
		host.LogConfig.Config["max-size"] != "10m" || host.LogConfig.Config["max-file"] != "3" ||
		got.Config.Labels["app.moleculesai.workspace.id"] != id ||
		got.Config.Labels["app.moleculesai.workspace.runtime"] != runtime {
		t.Errorf("mounts %v, host %+v, labels %v", mounts, host, got.Config.Labels)
	}
}

func (s *scene) removeVolumes(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := s.docker.VolumeRemove(context.WithoutCancel(t.Context()), name,
			client.VolumeRemoveOptions{}); err != nil {
			t.Error(err)
		}
	}
}
