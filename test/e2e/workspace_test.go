package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// workspaceServer is the example, running.
type workspaceServer struct {
	url  string
	cmd  *exec.Cmd
	logs *output
	done chan struct{}
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

func startWorkspaceServer(t *testing.T, u user) *workspaceServer {
	t.Helper()
	w := &workspaceServer{cmd: exec.Command(buildPackage(t, "workspace-server",
		"./examples/workspace-server"), "-listen", "127.0.0.1:0", "-platform-url",
		"http://platform"), logs: &output{}, done: make(chan struct{})}
	w.cmd.Env, w.cmd.Stderr = u.environ(), w.logs
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.done)
		_ = w.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		<-w.done
	})
	eventually(t, "the server listens", func() bool {
		if m := listening.FindStringSubmatch(w.logs.String()); m != nil {
			w.url = m[1]
		}
		return w.url != ""
	})
	return w
}

// line is what the tests look at in one line of an answer.
type line struct {
	Type        string
	Text, Error string
	WorkspaceID string `json:"workspace_id"`
	ContainerID string `json:"container_id"`
	ImageID     string `json:"image_id"`
}

// post returns the status and the lines of the answer.
func (w *workspaceServer) post(t *testing.T, body string) (status int, lines []line) {
	t.Helper()
	resp, err := http.Post(w.url+"/workspaces", "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer resp.Body.Close()
	for in := bufio.NewScanner(resp.Body); in.Scan(); {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Errorf("%s: %v", in.Bytes(), err)
		}
		lines = append(lines, l)
	}
	return resp.StatusCode, lines
}

// start requests a workspace, which must start.
func (w *workspaceServer) start(t *testing.T, body string) (last line, all []line) {
	t.Helper()
	status, lines := w.post(t, body)
	if status != http.StatusOK || len(lines) == 0 {
		t.Errorf("%s: %d %+v\n%s", body, status, lines, w.logs)
		return line{}, nil
	}
	last = lines[len(lines)-1]
	if last.Type != "started" {
		t.Errorf("%s ends in %+v\n%s", body, last, w.logs)
		return line{}, lines
	}
	return last, lines
}

func (s *scene) wantWorkspace(t *testing.T, l line, env ...string) {
	t.Helper()
	got := s.container(t, l.ContainerID)
	defer s.removeVolumes(t, "ws-"+l.WorkspaceID+"-configs", "ws-"+l.WorkspaceID+"-workspace")
	defer s.removeContainer(t, l.ContainerID)
	s.wantRuntime(t, got, l.WorkspaceID)
	wantRunning(t, got, l.ImageID)
	have := strings.Join(got.Config.Env, "\n") + "\n"
	for _, want := range env {
		if !strings.Contains(have, want+"\n") {
			t.Errorf("the variables lack %s:\n%s", want, have)
		}
	}
}

// wantRunning checks that a container runs and was made from the image's ID.
func wantRunning(t *testing.T, got container.InspectResponse, id string) {
	t.Helper()
	if got.Image != id || got.Config.Image != id || !strings.HasPrefix(id, "sha256:") ||
		!got.State.Running {
		t.Errorf("the container is of %s (%s), running %t; want %s", got.Image, got.Config.Image,
			got.State.Running, id)
	}
}

// wantUp waits until a container says "up", and checks that it never ended.
func (s *scene) wantUp(t *testing.T, id string) {
	t.Helper()
	eventually(t, "the container is up", func() bool {
		logs, err := s.docker.ContainerLogs(t.Context(), id,
			client.ContainerLogsOptions{ShowStdout: true})
		if err != nil {
			t.Fatal(err)
		}
		defer logs.Close()
		said, err := io.ReadAll(logs)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(said), "up\n")
	})
	if got := s.container(t, id); !got.State.Running || got.RestartCount != 0 {
		t.Errorf("it does not stay up: %+v", got.State)
	}
}

// TestWorkspaceServer runs the example: two who ask for one runtime at once share a build and get a
// container each.
func TestWorkspaceServer(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		_, sha := s.prepare(t, "RUN sleep 1; echo built at $(head -c 8 /dev/urandom | od -x)",
			`CMD test "$PYTHONPATH" = /app && touch "$WORKSPACE_CONFIG_PATH/x" && echo up && `+
				`exec sleep 600`)
		w := startWorkspaceServer(t, s.user)
		var both sync.WaitGroup
		got := map[string]line{}
		var mu sync.Mutex
		for _, id := range []string{s.prefix + "a", s.prefix + "b"} {
			both.Go(func() {
				l, _ := w.start(t, `{"runtime": "hermes", "workspace_id": "`+id+`", "tier": 2,
						"parent_id": "ws-0", "model_provider": "acme"}`)
				mu.Lock()
				defer mu.Unlock()
				got[id] = l
			})
		}
		both.Wait()
		want := s.id(t, "molecule-local/workspace-template-hermes:"+sha[:12])
		for id, l := range got {
			if l.ContainerID == "" {
				continue
			}
			if l.ImageID != want {
				t.Errorf("%s is of %s, not %s", id, l.ImageID, want)
			}
			s.wantUp(t, l.ContainerID)
			s.wantWorkspace(t, l, "MODEL_PROVIDER=acme", "TIER=2", "PARENT_ID=ws-0")
		}
		if n := strings.Count(w.logs.String(), "local-build: solving"); n != 1 {
			t.Errorf("%d builds\n%s", n, w.logs)
		}
	})
}

// TestFault35_WorkspaceServer: the tag is moved between the image and the container.
func TestFault35_WorkspaceServer(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, sha := s.prepare(t, `CMD ["sh", "-c", "sleep 600"]`)
		s.foreign(t, storetest.Spec{Content: "foreign " + s.prefix,
			Tag: "foreign/" + s.prefix + "x:1"})
		other := s.id(t, "foreign/"+s.prefix+"x:1")
		w := startWorkspaceServer(t, s.user)
		s.engine.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/containers/create") {
				s.tag(t, other, tmpl.reference(sha))
			}
			return false
		})
		l, _ := w.start(t, `{"runtime": "hermes", "workspace_id": "`+s.prefix+`moved"}`)
		if l.ContainerID == "" {
			return
		}
		if l.ImageID == other || s.id(t, tmpl.reference(sha)) != other {
			t.Errorf("the image is %s, and the tag means %s", l.ImageID,
				s.id(t, tmpl.reference(sha)))
		}
		s.wantWorkspace(t, l)
	})
}

// push has the engine push an image to the depot, and forget the name.
func (s *scene) push(t *testing.T, id, ref string) {
	t.Helper()
	s.tag(t, id, ref)
	auth, err := authconfig.Encode(registry.AuthConfig{Username: depotUser,
		Password: depotPassword})
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := s.docker.ImagePush(t.Context(), ref, client.ImagePushOptions{RegistryAuth: auth})
	if err != nil {
		t.Fatal(err)
	}
	defer pushed.Close()
	if err := pushed.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.remove(t, ref, false)
}

// TestWorkspaceServerInRegistryMode pulls; nothing else is different.
func TestWorkspaceServerInRegistryMode(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, `CMD ["sh", "-c", "sleep 600"]`)
		built := s.ensure(t, "built")
		// What the registry has must be able to run, and the registry's image is of no commit.
		path := s.prefix + "images"
		// Past the proxy: the registry has the engine continue at its own address.
		s.push(t, built.ID, strings.TrimPrefix(d.registry.URL(),
			"http://")+"/"+path+"/workspace-template-hermes:latest")
		u := d.withLogin(t, s.with("MOLECULE_IMAGE_REGISTRY", d.host+"/"+path), depotPassword)
		s.reset()
		l, all := startWorkspaceServer(t, u).start(t,
			`{"runtime": "hermes", "workspace_id": "`+s.prefix+`pulled"}`)
		if l.ContainerID == "" {
			return
		}
		s.wantWorkspace(t, l)
		if n := len(s.git.Requests()) + s.engine.Count("/grpc") +
			s.engine.Count("/session"); n != 0 || all[0].Type != "resolved" {
			t.Errorf("git server and builder were asked %d times; %+v", n, all)
		}
	})
}

func TestWorkspaceServerRefuses(t *testing.T) {
	s := newScene(t, containerdOwn)
	w := startWorkspaceServer(t, s.user)
	for body, want := range map[string]int{
		`{"runtime": "nosuch"}`: http.StatusNotFound,
		// there is no such repository
		`{"runtime": "hermes"}`:                                  http.StatusNotFound,
		`{"runtime": "../x"}`:                                    http.StatusBadRequest,
		`{"runtime": "hermes", "workspace_id": "a b"}`:           http.StatusBadRequest,
		`{"runtime": "hermes", "image": "x"}`:                    http.StatusBadRequest,
		`{"runtime": "hermes"} {}`:                               http.StatusBadRequest,
		`{"runtime": "` + strings.Repeat("x", 20_000) + `"}`:     http.StatusBadRequest,
		`{"runtime": "hermes", "tier": -1}`:                      http.StatusBadRequest,
		`{"runtime": "hermes", "parent_id": "x\ninjected=true"}`: http.StatusBadRequest,
	} {
		if status, lines := w.post(t, body); status != want || len(lines) != 1 ||
			lines[0].Error == "" {
			t.Errorf("%.60s: %d %+v", body, status, lines)
		}
	}
	resp, err := http.Post(w.url+"/workspaces", "text/plain",
		strings.NewReader(`{"runtime": "hermes"}`))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("status %d", resp.StatusCode)
	}
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	receive(t, "the server's end", w.done)
	if code := w.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, w.logs)
	}
}
