package buildx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli-plugins/metadata"

	"git.moleculesai.app/molecule-ai/pinion/internal/stdio"
)

// ErrNoPlugin says that buildx is not installed where Docker's CLI looks for it.
var ErrNoPlugin = errors.New("docker buildx is not installed")

// Plugin is the installed buildx.
type Plugin struct {
	path string
	env  []string
}

// With is the plugin with variables (NAME=value) on top of this process's environment, which it
// gets otherwise.
func (p Plugin) With(env []string) Plugin { return Plugin{p.path, env} }

// environ is for one call, with more variables on top. Where we are a plugin of Docker's CLI
// ourselves, a variable says so; buildx would take it for its own and expect its name before the
// arguments.
func (p Plugin) environ(cmd *exec.Cmd, more ...string) []string {
	return slices.Concat(cmd.Environ(), []string{metadata.ReexecEnvvar + "="}, p.env, more)
}

// FindPlugin looks where Docker's CLI looks (docker/cli, cli-plugins/manager): in the folders of
// cliPluginsExtraDirs in its config, in cli-plugins in its config folder, in the system's folders.
// The error is [ErrNoPlugin].
func FindPlugin(lookup func(string) (string, bool), dockerConfig string,
	extraDirs []string) (Plugin, error) {
	name := "docker-buildx"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	dirs := extraDirs
	if dockerConfig != "" {
		dirs = append(dirs[:len(dirs):len(dirs)], filepath.Join(dockerConfig, "cli-plugins"))
	}
	for _, dir := range append(dirs, systemDirs(lookup)...) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return Plugin{path: path}, nil
		}
	}
	return Plugin{}, ErrNoPlugin
}

func systemDirs(lookup func(string) (string, bool)) (dirs []string) {
	if runtime.GOOS != "windows" {
		return []string{
			"/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
			"/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
		}
	}
	for _, name := range []string{"ProgramData", "ProgramFiles"} {
		if dir, _ := lookup(name); dir != "" {
			dirs = append(dirs, filepath.Join(dir, "Docker", "cli-plugins"))
		}
	}
	return dirs
}

// Version asks the plugin for its version, for example "v0.38.2".
func (p Plugin) Version(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, p.path, "docker-cli-plugin-metadata")
	cmd.Env = p.environ(cmd)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.path, err)
	}
	var about struct{ Version string }
	if err := json.Unmarshal(out, &about); err != nil {
		return "", fmt.Errorf("%s: its metadata: %w", p.path, err)
	}
	return about.Version, nil
}

// Dial has the plugin join us to a builder, to the node for the platform unless that is "": the way
// to drivers of which buildx alone knows how they are reached. The plugin notes when a builder was
// used last; it works on a copy of the builder's file, so that it notes nothing in the user's
// folder. A builder of which no node runs is an error: left to itself the plugin would start it.
// The connection outlives ctx.
func (p Plugin) Dial(ctx context.Context, f Folder, b Builder, platform string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	work, err := f.copyOf(b)
	if err != nil {
		return nil, err
	}
	folder := EnvConfig + "=" + work.dir
	if err := p.mustRun(ctx, b, folder); err != nil {
		work.remove()
		return nil, fmt.Errorf("%s: %w", p.path, err)
	}
	args := []string{"dial-stdio", "--builder", b.Name}
	if platform != "" {
		args = append(args, "--platform", platform)
	}
	conn, err := p.start(exec.Command(p.path, args...), folder, work.remove)
	if err != nil {
		work.remove()
		return nil, fmt.Errorf("%s: %w", p.path, err)
	}
	return conn, nil
}

// mustRun looks at the builder without starting it.
func (p Plugin) mustRun(ctx context.Context, b Builder, folder string) error {
	cmd := exec.CommandContext(ctx, p.path, "inspect", b.Name)
	cmd.Env = p.environ(cmd, folder)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		if status, ok := strings.CutPrefix(line, "Status:"); ok &&
			strings.TrimSpace(status) == "running" {
			return nil
		}
	}
	return errors.New("no node of the builder runs")
}

func (p Plugin) start(cmd *exec.Cmd, folder string, gone func()) (net.Conn, error) {
	cmd.Env = p.environ(cmd, folder)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	complaints, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	said := make(chan struct{})
	conn := stdio.New(strings.Join(cmd.Args, " "), in, &lastWords{out, said}, func() error {
		_ = cmd.Process.Kill() // it has nothing to put in order, and may have ended already
		within(said)
		_ = cmd.Wait() // how it ended is of no concern any more
		gone()
		return nil
	})
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(said)
		_, _ = io.Copy(conn.Stderr(), complaints)
	}()
	return conn, nil
}

// lastWords is a command's stdout that does not end before its stderr has been read.
type lastWords struct {
	io.Reader
	said <-chan struct{}
}

func (l *lastWords) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err != nil {
		within(l.said)
	}
	return n, err
}

// within waits a moment: what the plugin has started may have its stderr and outlive it.
func within(said <-chan struct{}) {
	select {
	case <-said:
	case <-time.After(time.Second):
	}
}
