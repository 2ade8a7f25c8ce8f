package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"text/template"
	"time"
)

// Admin is the name of a Gitea's administrator, who owns everything for which no other user is
// named.
const Admin = "admin-user"

// adminPassword guards a server that only this machine reaches, for the time of a test.
const adminPassword = "not-a-secret-1"

// appINI is Gitea's configuration: everything below one folder, loopback only, nothing from
// outside, no background work that a test could race with.
var appINI = template.Must(template.New("app.ini").Parse(`APP_NAME = Pinion test
RUN_MODE = prod
WORK_PATH = {{.Work}}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
PROTOCOL = http
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {{.Port}}
ROOT_URL = http://127.0.0.1:{{.Port}}/
STATIC_ROOT_PATH = {{.Static}}
OFFLINE_MODE = true
DISABLE_SSH = true
LFS_START_SERVER = true
LFS_JWT_SECRET = cGluaW9uLXRlc3QtcGluaW9uLXRlc3QtcGluaW9uLXQ
[database]
DB_TYPE = sqlite3
PATH = {{.Work}}/gitea.db
SQLITE_JOURNAL_MODE = WAL
[lfs]
PATH = {{.Work}}/lfs
[repository]
ROOT = {{.Work}}/repositories
DEFAULT_BRANCH = main
[security]
INSTALL_LOCK = true
SECRET_KEY = pinion
PASSWORD_HASH_ALGO = pbkdf2$100$50
[service]
DISABLE_REGISTRATION = true
[log]
LEVEL = Info
[cron]
ENABLED = false
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[packages]
ENABLED = false
[webhook]
ALLOWED_HOST_LIST = loopback
[mailer]
ENABLED = false
`))

// Gitea is a Gitea server on loopback with SQLite and one administrator. Its methods may be used by
// several goroutines, but what pushes to one repository by one at a time.
type Gitea struct {
	process *process
	dir     string
	url     string
	mu      sync.Mutex
	benches map[Repo]*workbench // guarded by mu
}

// StartGitea starts Gitea with all of its state below dir. It needs git.
func StartGitea(ctx context.Context, dir string) (*Gitea, error) {
	path, err := locateAll("gitea", "git")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	g := &Gitea{dir: dir, url: fmt.Sprintf("http://127.0.0.1:%d", port),
		benches: map[Repo]*workbench{}}
	config, err := g.configure(ctx, port)
	if err != nil {
		return nil, err
	}
	g.process, err = run(command{
		name: "gitea", dir: dir, path: path, args: []string{"web", "--config", config},
		grace: 5 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	if err := g.process.ready(ctx, g.healthy); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if err := g.createAdmin(ctx, path, config); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Gitea) configure(ctx context.Context, port int) (string, error) {
	static, err := giteaModule(ctx)
	if err != nil {
		return "", err
	}
	work, err := filepath.Abs(g.dir)
	if err != nil {
		return "", fmt.Errorf("configure gitea: %w", err)
	}
	g.dir = work
	if err := os.MkdirAll(work, 0o700); err != nil {
		return "", fmt.Errorf("configure gitea: %w", err)
	}
	var ini bytes.Buffer
	if err := appINI.Execute(&ini, map[string]any{"Work": work, "Port": port,
		"Static": static}); err != nil {
		return "", fmt.Errorf("configure gitea: %w", err)
	}
	config := filepath.Join(work, "app.ini")
	if err := os.WriteFile(config, ini.Bytes(), 0o600); err != nil {
		return "", fmt.Errorf("configure gitea: %w", err)
	}
	return config, nil
}

// giteaModule is the folder of Gitea's source in the module cache: its templates and translations
// are read from there.
func giteaModule(ctx context.Context) (string, error) {
	root, err := sourceRoot()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "code.gitea.io/gitea")
	cmd.Dir = filepath.Join(root, "test", "tools", "gitea")
	out, err := cmd.Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		return "", fmt.Errorf("%w: the source of gitea: run `make tools`", ErrMissing)
	}
	return dir, nil
}

func (g *Gitea) healthy(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/api/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health: %s", resp.Status)
	}
	return nil
}

func (g *Gitea) createAdmin(ctx context.Context, path, config string) error {
	cmd := exec.CommandContext(ctx, path, "admin", "user", "create", "--config", config, "--admin",
		"--username", Admin,
		"--password", adminPassword, "--email", Admin+"@pinion.invalid",
		"--must-change-password=false")
	cmd.Env = []string{childPath, "HOME=" + g.dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("create gitea's administrator: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// URL is the server's address, without a slash at its end.
func (g *Gitea) URL() string { return g.url }

// RepoURL is the address of a repository as people write it, without ".git".
func (g *Gitea) RepoURL(r Repo) string { return g.url + "/" + r.String() }

// Log is the path of the server's log.
func (g *Gitea) Log() string { return g.process.logPath }

// Close ends the server. It may be called again.
func (g *Gitea) Close() error {
	g.process.stop()
	return nil
}
