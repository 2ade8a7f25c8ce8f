package parts_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

func TestRegistry(t *testing.T) {
	r := partstest.Registry(t, parts.RegistryOptions{User: "joe", Password: "secret"})
	for _, tc := range []struct {
		password string
		want     int
	}{{"secret", http.StatusOK}, {"wrong", http.StatusUnauthorized},
		{"", http.StatusUnauthorized}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if tc.password != "" {
			req.SetBasicAuth("joe", tc.password)
		}
		if got := status(t, req); got != tc.want {
			t.Errorf("with password %q: %d, want %d", tc.password, got, tc.want)
		}
	}
}

func TestGitHTTP(t *testing.T) {
	g := partstest.GitHTTP(t)
	for _, format := range []parts.ObjectFormat{parts.SHA1, parts.SHA256} {
		t.Run(string(format), func(t *testing.T) {
			name := "repo-" + string(format)
			if err := g.CreateRepo(t.Context(), name, format); err != nil {
				t.Fatal(err)
			}
			var commits []string
			for _, body := range []string{"1", "2"} {
				sha, err := g.Push(t.Context(), name,
					parts.Commit{Files: parts.Files(map[string]string{"a": body})})
				if err != nil {
					t.Fatal(err)
				}
				commits = append(commits, sha)
			}
			if err := g.Force(t.Context(), name, "main", commits[0]); err != nil {
				t.Fatal(err)
			}
			heads := git(t, "ls-remote", g.RepoURL(name)+".git", "HEAD")
			if !strings.HasPrefix(heads, commits[0]) {
				t.Errorf("HEAD is %q, want it forced back to %s", heads, commits[0])
			}
			clone := filepath.Join(t.TempDir(), "clone")
			git(t, "init", "--quiet", "--object-format="+string(format), clone)
			git(t, "-C", clone, "-c", "protocol.version=2", "fetch", "--quiet", "--depth=1",
				g.RepoURL(name)+".git", commits[1])
			if got := git(t, "-C", clone, "show", "FETCH_HEAD:a"); got != "2" {
				t.Errorf("file a of the commit that no ref has is %q, want 2", got)
			}
		})
	}
}

// TestGitHabits: git itself reads each of the servers that are not git's own.
func TestGitHabits(t *testing.T) {
	g := partstest.GitHTTP(t)
	if err := g.CreateRepo(t.Context(), "repo", parts.SHA1); err != nil {
		t.Fatal(err)
	}
	sha, err := g.Push(t.Context(), "repo",
		parts.Commit{Files: parts.Files(map[string]string{"a": "1"})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Git(t.Context(), "repo", "update-server-info"); err != nil {
		t.Fatal(err)
	}
	url := g.RepoURL("repo")
	withUser := strings.Replace(url, "://", "://joe:secret@", 1)
	for name, c := range map[string]struct {
		habits parts.GitHabits
		url    string
	}{
		"version 0":      {parts.GitHabits{OldProtocol: true, CommandStatus: 400}, url},
		"without unborn": {parts.GitHabits{NoUnborn: true}, url},
		"without .git":   {parts.GitHabits{NoSuffix: true}, url},
		"only for git":   {parts.GitHabits{GitAgents: true}, url},
		"a user":         {parts.GitHabits{User: "joe", Password: "secret"}, withUser},
		"renamed": {parts.GitHabits{Renamed: map[string]string{"old": "repo"}},
			g.RepoURL("old")},
		"files": {parts.GitHabits{Dumb: true}, url + ".git"},
	} {
		t.Run(name, func(t *testing.T) {
			g.SetHabits(c.habits)
			if out := git(t, "ls-remote", c.url, "HEAD"); !strings.Contains(out, sha) {
				t.Errorf("HEAD is %q, want %s", out, sha)
			}
		})
	}
}

func TestProxy(t *testing.T) {
	g := partstest.GitHTTP(t)
	if err := g.CreateRepo(t.Context(), "repo", parts.SHA1); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Push(t.Context(), "repo",
		parts.Commit{Files: parts.Files(map[string]string{"a": "1"})}); err != nil {
		t.Fatal(err)
	}
	p := partstest.Proxy(t, g.URL())
	git(t, "-c", "protocol.version=2", "ls-remote", p.URL()+"/repo.git", "HEAD")
	if got := p.Count("git-upload-pack"); got != 1 {
		t.Errorf("%d requests for git-upload-pack, want 1: %v", got, p.Requests())
	}
	p.Reset()
	hook, arrived, release := parts.GatePath("/gated")
	for _, tc := range []struct {
		name, path string
		hook       parts.Hook
		want       int
	}{
		{"fails on demand", "/repo.git/HEAD",
			parts.FailPath("/repo.git", http.StatusTeapot, "short and stout"), http.StatusTeapot},
		{"fails elsewhere", "/repo.git/HEAD", parts.FailPath("/other.git", http.StatusTeapot, ""),
			http.StatusOK},
		{"delays", "/repo.git/HEAD", parts.DelayPath("/repo.git", time.Millisecond), http.StatusOK},
		{"opens a gate", "/gated", hook, http.StatusNotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p.SetHook(tc.hook)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
				p.URL()+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("joe", "secret")
			if tc.path == "/gated" {
				go func() { <-arrived; release() }()
			}
			if got := status(t, req); got != tc.want {
				t.Errorf("status %d, want %d", got, tc.want)
			}
		})
	}
	for _, r := range p.Requests() {
		if !strings.HasPrefix(r.Authorization, "Basic ") {
			t.Errorf("the proxy remembers Authorization %q", r.Authorization)
		}
	}
}

// TestSocketProxy builds through the proxy: a build upgrades connections and streams.
func TestSocketProxy(t *testing.T) {
	partstest.Need(t, parts.NameBuildx, parts.NameBusybox)
	d := partstest.Dockerd(t, parts.Docker29Containerd)
	p := partstest.Proxy(t, d.Host())
	buildx(t, []string{"DOCKER_HOST=" + p.URL()}, "build", "-t", "demo",
		template(t, "RUN echo hello > /greeting"))
	if p.Count("/grpc") == 0 && p.Count("/session") == 0 {
		t.Errorf("no build went through the proxy: %v", p.Requests())
	}
}

func status(t *testing.T, req *http.Request) int {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}
