package browser

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

const (
	reader    = "the-token-of-a-reader" // of hermes
	token     = "the-token-of-callers"
	operators = "the-token-of-operators"
	patience  = 2 * time.Minute
)

// scene is a server with an engine and a git server of its own.
type scene struct {
	url     string
	gitea   *parts.Gitea
	binary  string
	history string
	env     []string
}

var shared struct {
	once   sync.Once
	scene  *scene
	closer []func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(shared.closer) - 1; i >= 0; i-- {
		shared.closer[i]()
	}
	os.Exit(code)
}

// newScene returns the scene that all tests share. Each test has templates of its own in it.
func newScene(t *testing.T) *scene {
	t.Helper()
	partstest.Need(t, parts.NameChromium, parts.NameGitea, parts.NameGit, parts.NameBusybox,
		string(parts.Docker29Containerd))
	shared.once.Do(func() { shared.scene = startScene(t) })
	if shared.scene == nil {
		t.Fatal("the scene did not start")
	}
	return shared.scene
}

func startScene(t *testing.T) *scene {
	t.Helper()
	dir, err := os.MkdirTemp("", "pinion-page-")
	if err != nil {
		t.Fatal(err)
	}
	later := func(f func()) { shared.closer = append(shared.closer, f) }
	later(func() { _ = os.RemoveAll(dir) })
	sub := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ctx := t.Context()
	gitea, err := parts.StartGitea(ctx, sub("gitea"))
	if err != nil {
		t.Fatal(err)
	}
	later(func() { _ = gitea.Close() })
	engine, err := parts.StartDockerd(ctx, sub("docker"), parts.Docker29Containerd)
	if err != nil {
		t.Fatal(err)
	}
	later(func() { _ = engine.Close() })
	s := &scene{gitea: gitea, history: filepath.Join(dir, "history")}
	s.env = append(os.Environ(), "DOCKER_HOST="+engine.Host(), "HOME="+sub("home"),
		"MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX="+gitea.URL()+"/"+parts.Admin+"/",
		"MOLECULE_LOCAL_BUILD_CACHE="+filepath.Join(dir, "cache"), "PINION_HISTORY="+s.history,
		"PINION_SERVE_TOKEN="+token, "PINION_OPERATOR_TOKEN="+operators)
	s.binary = filepath.Join(dir, "pinion")
	if out, err := exec.CommandContext(ctx, "go", "-C", "../../..", "build", "-o", s.binary,
		"./cmd/pinion").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tokens := filepath.Join(dir, "tokens.yaml")
	entry := fmt.Sprintf(
		"tokens:\n- {name: reader, sha256: %x, rights: [see], templates: [hermes]}\n",
		sha256.Sum256([]byte(reader)))
	if err := os.WriteFile(tokens, []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	found, stop := s.start(t, regexp.MustCompile(`serving at tcp://([\d.:]+)`), "serve", "--listen",
		"tcp://127.0.0.1:0", "--max-parallel", "1", "--tokens-file", tokens)
	later(stop)
	s.url = "http://" + found
	return s
}

// start starts the command and waits until it prints what the pattern finds.
func (s *scene) start(t *testing.T, prints *regexp.Regexp, args ...string) (string, func()) {
	t.Helper()
	cmd := exec.Command(s.binary, args...)
	cmd.Env = s.env
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := ""
	eventually(t, "the start of pinion "+args[0], func() bool {
		if match := prints.FindStringSubmatch(out.String()); match != nil {
			found = match[1]
		}
		return found != ""
	})
	return found, func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// push makes a commit on a template, and its repository if there is none. The commit is unlike all
// others.
func (s *scene) push(t *testing.T, name, message string, lines ...string) string {
	t.Helper()
	repo := parts.Repo{Owner: parts.Admin, Name: name}
	_, err := s.gitea.CreateRepo(t.Context(), parts.Admin, name, parts.RepoOptions{})
	if err != nil && !strings.Contains(err.Error(), "409") {
		t.Fatal(err)
	}
	files := partstest.BusyboxTemplate(t, append([]string{
		fmt.Sprintf("# %d", time.Now().UnixNano()), "COPY Dockerfile /unique"}, lines...)...)
	sha, err := s.gitea.Push(t.Context(), repo, parts.Commit{Files: files, Message: message})
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

// ask makes a request as an operator.
func (s *scene) ask(t *testing.T, method, path, body string, into any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+operators)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%d %s: %v", resp.StatusCode, text, err)
		}
	}
	return resp.StatusCode
}

// ensure builds a template and waits for the end, whatever it is. It returns the build's ID.
func (s *scene) ensure(t *testing.T, name string) string {
	t.Helper()
	id := s.begin(t, name)
	eventually(t, "the end of a build", func() bool {
		var b struct{ Ended time.Time }
		s.ask(t, http.MethodGet, "/v1/builds/"+id, "", &b)
		return !b.Ended.IsZero()
	})
	return id
}

// begin begins the build of a template and returns its ID.
func (s *scene) begin(t *testing.T, name string) string {
	t.Helper()
	var got struct{ Build struct{ ID string } }
	if status := s.ask(t, http.MethodPost, "/v1/images/"+name, "", &got); status != 202 {
		t.Fatalf("the request for %s is answered by %d", name, status)
	}
	return got.Build.ID
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there is not: %s", what)
		}
	}
}

// serveElsewhere serves a handler at another port, which is another site's.
func serveElsewhere(t *testing.T, h http.Handler) string {
	t.Helper()
	site := httptest.NewServer(h)
	t.Cleanup(site.Close)
	return site.URL
}
