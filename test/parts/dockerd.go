package parts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Dockerd is a Docker engine with a containerd, a bridge and all of its state of its own.
type Dockerd struct {
	command command
	process *process
	flavour Flavour
	dir     string
	sockets string // short folder: a socket's path has at most 107 bytes
	cgroup  string
	bridge  *bridge
}

// DockerdOption is a choice for StartDockerd.
type DockerdOption func(*dockerdOptions)

type dockerdOptions struct {
	config map[string]any
	env    []string
}

// WithDaemonConfig adds keys to the engine's daemon.json, for instance "registry-mirrors". Default:
// none.
func WithDaemonConfig(keys map[string]any) DockerdOption {
	return func(o *dockerdOptions) { maps.Copy(o.config, keys) }
}

// WithDaemonEnv adds to the engine's environment, as name=value. Default: nothing.
func WithDaemonEnv(env ...string) DockerdOption {
	return func(o *dockerdOptions) { o.env = append(o.env, env...) }
}

// StartDockerd starts a Docker engine with all of its state below dir. It needs root, containerd,
// runc and ip. RUN steps of a build are on a bridge without a way out; git fetches and ADD of a URL
// use the host's network, so they reach servers on loopback.
func StartDockerd(
	ctx context.Context, dir string, flavour Flavour, opts ...DockerdOption,
) (*Dockerd, error) {
	path, err := flavour.locate(ctx)
	if err != nil {
		return nil, err
	}
	d := &Dockerd{flavour: flavour, dir: dir, cgroup: newCgroup()}
	if d.sockets, err = socketDir(); err != nil {
		return nil, err
	}
	if d.bridge, err = newBridge(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if err := d.configure(path, opts); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if err := d.Restart(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Dockerd) configure(path string, opts []DockerdOption) error {
	o := dockerdOptions{config: map[string]any{}}
	for _, opt := range opts {
		opt(&o)
	}
	body, err := json.Marshal(o.config)
	if err != nil {
		return fmt.Errorf("configure dockerd: %w", err)
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("configure dockerd: %w", err)
	}
	file := filepath.Join(d.dir, "daemon.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		return fmt.Errorf("configure dockerd: %w", err)
	}
	d.command = command{
		name: "dockerd", dir: d.dir, path: path, args: append(d.args(), "--config-file="+file),
		isolated: true, grace: 15 * time.Second, env: o.env,
	}
	return nil
}

func (d *Dockerd) args() []string {
	args := []string{
		"--host=" + d.Host(), "--data-root=" + filepath.Join(d.dir, "data"), "--exec-root=" +
			filepath.Join(d.sockets, "x"),
		"--pidfile=" + filepath.Join(d.sockets, "d.pid"), "--bridge=" + d.bridge.name,
		"--iptables=false", "--ip6tables=false",
		"--ip-forward=false", "--userland-proxy=false", "--exec-opt=native.cgroupdriver=cgroupfs",
		"--cgroup-parent=/" + d.cgroup,
	}
	if d.flavour != Docker20 {
		// runc before 1.2 knows no time namespaces.
		args = append(args, "--feature=time-namespaces=false")
	}
	if d.flavour == Docker29Classic {
		args = append(args, "--feature=containerd-snapshotter=false")
	}
	if d.flavour != Docker29Containerd {
		args = append(args, "--storage-driver=overlay2")
	}
	return args
}

// Restart starts the engine again on the same state and address, after Kill or Stop.
func (d *Dockerd) Restart(ctx context.Context) error {
	d.Kill()
	if err := d.removePIDFiles(); err != nil {
		return err
	}
	p, err := run(d.command)
	if err != nil {
		return err
	}
	d.process = p
	return p.ready(ctx, d.ping)
}

// removePIDFiles removes what a killed engine left: in its new process namespace the numbers in
// them belong to other, living processes.
func (d *Dockerd) removePIDFiles() error {
	err := filepath.WalkDir(d.sockets, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".pid") {
			err = os.Remove(path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("restart dockerd: %w", err)
	}
	return nil
}

func (d *Dockerd) ping(ctx context.Context) error {
	client := &http.Client{Transport: unixTransport(d.Socket())}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ping: %s", resp.Status)
	}
	return nil
}

// Host is the engine's address, "unix://" and the path of its socket, as DOCKER_HOST takes it.
func (d *Dockerd) Host() string { return "unix://" + d.Socket() }

// Socket is the path of the engine's socket.
func (d *Dockerd) Socket() string { return filepath.Join(d.sockets, "d.sock") }

// Flavour is what was asked for.
func (d *Dockerd) Flavour() Flavour { return d.flavour }

// Log is the path of the engine's log.
func (d *Dockerd) Log() string { return filepath.Join(d.dir, "dockerd.log") }

// Kill ends the engine as a crash would (SIGKILL), with everything that it runs. Restart brings it
// back.
func (d *Dockerd) Kill() {
	if d.process != nil {
		d.process.kill()
	}
}

// Stop ends the engine in good order. Restart brings it back.
func (d *Dockerd) Stop() {
	if d.process != nil {
		d.process.stop()
	}
}

// Close ends the engine at once and removes what it made outside its folder: bridge, control
// groups, sockets. It may be called again.
func (d *Dockerd) Close() error {
	// an engine takes a second to stop in good order, and it is not used again
	d.Kill()
	failed := errors.Join(removeCgroups(d.cgroup), os.RemoveAll(d.sockets))
	if d.bridge != nil {
		failed = errors.Join(failed, d.bridge.remove(context.Background()))
		d.bridge = nil
	}
	return failed
}
