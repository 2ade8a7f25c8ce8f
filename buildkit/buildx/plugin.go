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

// ErrNoPlugin means that buildx is in no folder where Docker's CLI looks for plugins.
var ErrNoPlugin = errors.New("docker buildx is not installed")

// Plugin is an installed buildx.
type Plugin struct {
	path string
	env  []string
}

// With returns the plugin with more variables (NAME=value) in its environment, which is otherwise
// that of this process.
func (p Plugin) With(env []string) Plugin { return Plugin{p.path, env} }

// environ returns the environment of one call. It clears the variable that Docker's CLI sets if
// this process is a plugin itself. With it buildx would expect its own name before the arguments.
func (p Plugin) environ(cmd *exec.Cmd, more ...string) []string {
	return slices.Concat(cmd.Environ(), []string{metadata.ReexecEnvvar + "="}, p.env, more)
}

// FindPlugin looks for buildx where Docker's CLI does (docker/cli, cli-plugins/manager): in
// extraDirs, which is cliPluginsExtraDirs in its config file, in cli-plugins in its config folder,
// and in the system's folders. The error is [ErrNoPlugin].
func FindPlugin(
	lookup func(string) (string, bool), dockerConfig string, extraDirs []string,
) (Plugin, error) {
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

// Version returns the plugin's version, for example "v0.38.2".
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

// Dial connects to a builder through the plugin, which knows the way to every driver. If platform
// is not "", it connects to the node for that platform. The plugin works on a copy of the builder's
// file, because it writes the time of the last use into it. If no node of the builder runs, Dial
// fails; the plugin would start one. The connection outlives ctx.
func (p Plugin) Dial(ctx context.Context, f Folder, b Builder, platform string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	work, err := f.copyOf(b)
	if err != nil {
		return nil, err
	}
	folder := EnvConfig + "=" + work.dir
	if err := p.requireRunning(ctx, b, folder); err != nil {
		work.remove()
		return nil, fmt.Errorf("%s: %w", p.path, err)
	}
	args := []string{"dial-stdio", "--builder", b.Name}
	if platform != "" {
		args = append(args, "--platform", platform)
	}
	cmd := exec.Command(p.path, args...) //nolint:noctx // the connection outlives ctx
	conn, err := p.start(cmd, folder, work.remove)
	if err != nil {
		work.remove()
		return nil, fmt.Errorf("%s: %w", p.path, err)
	}
	return conn, nil
}

// requireRunning returns an error unless a node of the builder runs. It starts none.
func (p Plugin) requireRunning(ctx context.Context, b Builder, folder string) error {
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

// start runs cmd as a connection. It calls closed after the connection's end.
func (p Plugin) start(cmd *exec.Cmd, folder string, closed func()) (net.Conn, error) {
	cmd.Env = p.environ(cmd, folder)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	logged := make(chan struct{})
	conn := stdio.New(strings.Join(cmd.Args, " "), in, &lastOutput{out, logged}, func() error {
		_ = cmd.Process.Kill() // it has nothing to clean up, and may have ended already
		waitBriefly(logged)
		_ = cmd.Wait() // its exit code does not matter
		closed()
		return nil
	})
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(logged)
		_, _ = io.Copy(conn.Stderr(), stderr)
	}()
	return conn, nil
}

// lastOutput is a command's stdout that does not end before its stderr has been read.
type lastOutput struct {
	io.Reader
	logged <-chan struct{}
}

func (l *lastOutput) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err != nil {
		waitBriefly(l.logged)
	}
	return n, err
}

// waitBriefly waits at most a second for done. A process that the plugin started may hold its
// stderr open for longer.
func waitBriefly(done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}
