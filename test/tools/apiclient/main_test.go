package apiclient

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

const (
	operators    = "the-token-of-operators"
	hookSecret   = "the-secret-of-webhooks"
	notifySecret = "the-secret-of-notifications"
	patience     = 2 * time.Minute
)

// startServer starts `pinion serve` with an engine and a git server of its own, which has these
// templates, and returns its URL.
func startServer(t *testing.T, notifyURL string, templates map[string][]string) string {
	t.Helper()
	partstest.Need(t, parts.NameGitea, parts.NameGit, parts.NameBusybox,
		string(parts.Docker29Containerd))
	dir, ctx := t.TempDir(), t.Context()
	gitea, err := parts.StartGitea(ctx, filepath.Join(dir, "gitea"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gitea.Close() })
	for name, dockerfile := range templates {
		repo, err := gitea.CreateRepo(ctx, parts.Admin, name, parts.RepoOptions{})
		if err != nil {
			t.Fatal(err)
		}
		commit := parts.Commit{Files: partstest.BusyboxTemplate(t, dockerfile...), Message: "x"}
		if _, err := gitea.Push(ctx, repo, commit); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := parts.StartDockerd(ctx, filepath.Join(dir, "docker"), parts.Docker29Containerd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })

	binary := filepath.Join(dir, "pinion")
	if out, err := exec.CommandContext(ctx, "go", "-C", "../../..", "build", "-o", binary,
		"./cmd/pinion").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(binary, "serve", "--listen", "tcp://127.0.0.1:0", "--max-parallel", "1",
		"--watch", "--notify-url", notifyURL)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+engine.Host(), "HOME="+dir,
		"MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX="+gitea.URL()+"/"+parts.Admin+"/",
		"MOLECULE_LOCAL_BUILD_CACHE="+filepath.Join(dir, "cache"),
		"PINION_HISTORY="+filepath.Join(dir, "history"), "PINION_OPERATOR_TOKEN="+operators,
		"PINION_SERVE_TOKEN=the-token-of-callers", "PINION_HOOK_SECRET="+hookSecret,
		"PINION_NOTIFY_SECRET="+notifySecret)
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the server:\n%s", out)
		}
	})
	serving := regexp.MustCompile(`serving at tcp://([\d.:]+)`)
	eventually(t, "a server", func() bool { return serving.MatchString(out.String()) })
	return "http://" + serving.FindStringSubmatch(out.String())[1]
}

// output is what a process prints.
type output struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there is not: %s", what)
		}
	}
}

// operations are those of the document that no request has been for: "GET /v1/builds/{id}".
type operations struct {
	mu   sync.Mutex
	left map[string]*regexp.Regexp
}

func readOperations(t *testing.T) *operations {
	t.Helper()
	text, err := os.ReadFile("../../../cmd/internal/server/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]any
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	o := &operations{left: map[string]*regexp.Regexp{}}
	parameter := regexp.MustCompile(`\\\{\w+\\\}`)
	methods := []string{"get", "post", "put", "patch", "delete"}
	for path, item := range document.Paths {
		at := parameter.ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`)
		for method := range item {
			if slices.Contains(methods, method) {
				what := strings.ToUpper(method) + " " + path
				o.left[what] = regexp.MustCompile("^" + strings.ToUpper(method) + " " + at + "$")
			}
		}
	}
	return o
}

// RoundTrip notes the operation that a request is for.
func (o *operations) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	for what, pattern := range o.left {
		if pattern.MatchString(r.Method + " " + r.URL.Path) {
			delete(o.left, what)
		}
	}
	o.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// asOperator adds the token of operators to a request.
func asOperator(_ context.Context, r *http.Request) error {
	r.Header.Set("Authorization", "Bearer "+operators)
	return nil
}

// response is what all operations return.
type response interface {
	StatusCode() int
	GetBody() []byte
}

// succeeded fails the test unless the status is one of those that are wanted.
func succeeded(t *testing.T, what string, err error, r response, want ...int) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if !slices.Contains(want, r.StatusCode()) {
		t.Fatalf("%s: %d, and not %v: %s", what, r.StatusCode(), want, r.GetBody())
	}
}
