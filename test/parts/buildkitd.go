package parts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// BuildkitdOptions are choices for StartBuildkitd; the zero value is a plain daemon.
type BuildkitdOptions struct {
	// Config is added to the daemon's buildkitd.toml, for instance registry mirrors. The table
	// [worker.oci] is taken: use Args for it.
	Config string
	// Args are added to the command line.
	Args []string
	// Env is added to the daemon's environment, as name=value.
	Env []string
	// Memory is how many bytes the steps of builds may have together; 0 means no limit.
	Memory int64
}

// Buildkitd is a standalone BuildKit daemon with a runc worker. RUN steps, git fetches and ADD of a
// URL use the host's network, so they reach servers on loopback.
type Buildkitd struct {
	command command
	process *process
	dir     string
	socket  string
	cgroup  string
}

// StartBuildkitd starts buildkitd with all of its state below dir. It needs root, runc and git.
func StartBuildkitd(ctx context.Context, dir string, opts BuildkitdOptions) (*Buildkitd, error) {
	if err := requireRoot("buildkitd"); err != nil {
		return nil, err
	}
	path, err := locateAll("buildkitd", "runc", "git")
	if err != nil {
		return nil, err
	}
	sockets, err := socketDir()
	if err != nil {
		return nil, err
	}
	b := &Buildkitd{dir: dir, socket: filepath.Join(sockets, "b.sock"), cgroup: newCgroup()}
	if err := b.configure(path, sockets, opts); err != nil {
		return nil, errors.Join(err, os.RemoveAll(sockets))
	}
	if err := limitMemory(b.cgroup, opts.Memory); err != nil {
		return nil, errors.Join(err, os.RemoveAll(sockets))
	}
	if err := b.Restart(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Buildkitd) configure(path, sockets string, opts BuildkitdOptions) error {
	config := filepath.Join(b.dir, "buildkitd.toml")
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return fmt.Errorf("configure buildkitd: %w", err)
	}
	toml := fmt.Sprintf("[worker.oci]\n  defaultCgroupParent = %q\n\n%s\n", b.cgroup, opts.Config)
	if err := os.WriteFile(config, []byte(toml), 0o600); err != nil {
		return fmt.Errorf("configure buildkitd: %w", err)
	}
	args := []string{
		"--config", config, "--root", filepath.Join(b.dir, "root"), "--addr", b.Addr(),
		"--otel-socket-path", filepath.Join(sockets, "o.sock"), "--containerd-worker=false",
		"--oci-worker=true",
		"--oci-worker-net=host", "--oci-worker-snapshotter=overlayfs", "--debug",
	}
	b.command = command{
		name: "buildkitd", dir: b.dir, path: path, args: append(args, opts.Args...), env: opts.Env,
		isolated: true, grace: 10 * time.Second,
	}
	return nil
}

// Restart starts the daemon again on the same state and address, after Kill or Stop.
func (b *Buildkitd) Restart(ctx context.Context) error {
	b.Kill()
	p, err := run(b.command)
	if err != nil {
		return err
	}
	b.process = p
	// An open socket is not an answer: the daemon listens before its worker is set up, but serves
	// only afterwards.
	return p.ready(ctx, func(ctx context.Context) error { return dialable(ctx, b.socket) })
}

// Addr is the daemon's address, "unix://" and the path of its socket, as BUILDKIT_HOST takes it.
func (b *Buildkitd) Addr() string { return "unix://" + b.socket }

// Socket is the path of the daemon's socket.
func (b *Buildkitd) Socket() string { return b.socket }

// Log is the path of the daemon's log.
func (b *Buildkitd) Log() string { return filepath.Join(b.dir, "buildkitd.log") }

// Kill ends the daemon as a crash would (SIGKILL), with everything that it runs. Restart brings it
// back.
func (b *Buildkitd) Kill() {
	if b.process != nil {
		b.process.kill()
	}
}

// Stop ends the daemon in good order. Restart brings it back.
func (b *Buildkitd) Stop() {
	if b.process != nil {
		b.process.stop()
	}
}

// Close ends the daemon at once and removes what it made outside its folder. It may be called
// again.
func (b *Buildkitd) Close() error {
	b.Kill()
	return errors.Join(removeCgroups(b.cgroup), os.RemoveAll(filepath.Dir(b.socket)))
}

func dialable(ctx context.Context, socket string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	return conn.Close()
}
