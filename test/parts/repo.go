package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Repo names a repository on a server.
type Repo struct{ Owner, Name string }

func (r Repo) String() string { return r.Owner + "/" + r.Name }

// ObjectFormat is a repository's hash function.
type ObjectFormat string

// Object formats; the zero value means SHA1.
const (
	SHA1   ObjectFormat = "sha1"
	SHA256 ObjectFormat = "sha256"
)

// Commit is one commit to push. Its tree is exactly Files.
type Commit struct {
	Branch  string // default "main"
	Message string // default "change"
	Files   []File
	// Orphan makes a commit without parents and forces the branch to it. Otherwise the parent is
	// the last commit pushed to the branch here.
	Orphan bool
	// From is the branch whose tip is the parent, for a first commit on Branch. Default: Branch
	// itself.
	From string
	// When is the time of the commit. Default: now, so equal trees give different commits only if a
	// second has passed or the parents differ.
	When time.Time
}

// workbench is a bare clone in which commits are made before they are pushed.
type workbench struct {
	dir string
	env []string // credentials for the server
}

// newWorkbench makes one in dir if there is none.
func newWorkbench(
	ctx context.Context, dir string, format ObjectFormat, env []string,
) (*workbench, error) {
	w := &workbench{dir: dir, env: env}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return w, err
	}
	if format == "" {
		format = SHA1
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a repository: %w", err)
	}
	if _, err := w.git(ctx, nil, "init", "--quiet", "--bare",
		"--object-format="+string(format)); err != nil {
		return nil, err
	}
	// Busybox is in most commits, and compressing it takes longer than the rest of a push.
	_, err := w.git(ctx, nil, "config", "core.compression", "0")
	return w, err
}

// push makes the commit and pushes it to url. It returns the commit's full hash.
func (w *workbench) push(ctx context.Context, url string, c Commit) (string, error) {
	sha, err := w.commit(ctx, c)
	if err != nil {
		return "", err
	}
	return w.send(ctx, url, sha, "refs/heads/"+c.branch(), c.Orphan)
}

// commit makes the commit, moves the branch to it and returns its full hash.
func (w *workbench) commit(ctx context.Context, c Commit) (string, error) {
	parent := ""
	if !c.Orphan {
		from := c.From
		if from == "" {
			from = c.branch()
		}
		parent, _ = w.git(ctx, nil, "rev-parse", "--quiet", "--verify", "refs/heads/"+from)
	}
	if _, err := w.git(ctx, c.stream(parent), "fast-import", "--quiet", "--force"); err != nil {
		return "", err
	}
	return w.git(ctx, nil, "rev-parse", "--verify", "refs/heads/"+c.branch())
}

// send pushes a revision of the workbench to ref at url and returns its full hash.
func (w *workbench) send(
	ctx context.Context, url, revision, ref string, force bool,
) (string, error) {
	sha, err := w.git(ctx, nil, "rev-parse", "--verify", revision)
	if err != nil {
		return "", err
	}
	args := []string{"push", "--quiet", url, sha + ":" + ref}
	if force {
		args = append(args, "--force")
	}
	if _, err := w.git(ctx, nil, args...); err != nil {
		return "", err
	}
	_, err = w.git(ctx, nil, "update-ref", ref, sha)
	return sha, err
}

// tag makes an annotated tag, pushes it and returns the hash of the tag object, which is not the
// commit's.
func (w *workbench) tag(ctx context.Context, url, name, sha string) (string, error) {
	identity := []string{"-c", "user.name=Pinion Tests", "-c", "user.email=tests@pinion.invalid"}
	if _, err := w.git(ctx, nil, append(identity, "tag", "--force", "--annotate", "--message", name,
		name, sha)...); err != nil {
		return "", err
	}
	ref := "refs/tags/" + name
	return w.send(ctx, url, ref, ref, true)
}

// git runs a git command in the workbench, apart from the user's and the machine's configuration.
func (w *workbench) git(ctx context.Context, stdin []byte, args ...string) (string, error) {
	return w.gitReading(ctx, bytes.NewReader(stdin), args...)
}

func (w *workbench) gitReading(
	ctx context.Context, stdin io.Reader, args ...string,
) (string, error) {
	path, err := locateSystem("git")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = w.dir
	cmd.Env = append(gitEnv(filepath.Dir(w.dir)), w.env...)
	cmd.Stdin = stdin
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(errs.Bytes()))
	}
	return strings.TrimSpace(out.String()), nil
}

// gitEnv is an environment in which git reads no configuration but its own and never asks.
func gitEnv(home string) []string {
	return []string{
		childPath, "HOME=" + home, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" +
			os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=", "NO_PROXY=*",
	}
}

func (c Commit) branch() string {
	if c.Branch == "" {
		return "main"
	}
	return c.Branch
}

// stream is the commit in git fast-import's format (git-fast-import(1)): it carries modes, links
// and submodules without a work tree.
func (c Commit) stream(parent string) []byte {
	message, when := c.Message, c.When
	if message == "" {
		message = "change"
	}
	if when.IsZero() {
		when = time.Now()
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "reset refs/heads/%s\n\ncommit refs/heads/%s\n", c.branch(), c.branch())
	fmt.Fprintf(&b, "committer Pinion Tests <tests@pinion.invalid> %d +0000\ndata %d\n%s\n",
		when.Unix(), len(message), message)
	if parent != "" {
		fmt.Fprintf(&b, "from %s\n", parent)
	}
	b.WriteString("deleteall\n")
	for _, f := range c.Files {
		mode := f.Mode
		if mode == "" {
			mode = Regular
		}
		if mode == Gitlink {
			fmt.Fprintf(&b, "M %s %s %s\n", mode, f.Data, quotePath(f.Path))
			continue
		}
		fmt.Fprintf(&b, "M %s inline %s\ndata %d\n", mode, quotePath(f.Path), len(f.Data))
		b.Write(f.Data)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// quotePath quotes a path, in any bytes, in the style of C.
func quotePath(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			fmt.Fprintf(&b, "\\%03o", c)
		} else {
			b.WriteByte(c)
		}
	}
	return `"` + b.String() + `"`
}
