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
	"time"
)

// RegistryOptions are choices for StartRegistry; the zero value is a registry that everybody may
// push to.
type RegistryOptions struct {
	// User and Password, if given, are asked for on every request.
	User, Password string
}

// Registry is a container registry (distribution) on loopback, over plain HTTP.
type Registry struct {
	process *process
	host    string
}

// StartRegistry starts a registry with all of its state below dir.
func StartRegistry(ctx context.Context, dir string, opts RegistryOptions) (*Registry, error) {
	path, err := Locate("registry")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	r := &Registry{host: fmt.Sprintf("127.0.0.1:%d", port)}
	config, err := r.configure(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	r.process, err = run(command{
		name: "registry", dir: dir, path: path, args: []string{"serve", config},
		grace: 5 * time.Second,
		env:   []string{"OTEL_TRACES_EXPORTER=none"},
	})
	if err != nil {
		return nil, err
	}
	if err := r.process.ready(ctx, r.healthy); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Registry) configure(
	ctx context.Context, dir string, opts RegistryOptions,
) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("configure registry: %w", err)
	}
	var yaml bytes.Buffer
	// Absolute places for uploads would lead a client past a proxy.
	fmt.Fprintf(&yaml,
		"version: 0.1\nlog: {level: info, accesslog: {disabled: false}}\nhttp: {addr: %q, "+
			"relativeurls: true}\n", r.host)
	fmt.Fprintf(&yaml, "storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}\n",
		filepath.Join(dir, "data"))
	if opts.User != "" {
		file := filepath.Join(dir, "htpasswd")
		if err := writePasswords(ctx, file, opts); err != nil {
			return "", err
		}
		fmt.Fprintf(&yaml, "auth: {htpasswd: {realm: pinion-tests, path: %q}}\n", file)
	}
	config := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(config, yaml.Bytes(), 0o600); err != nil {
		return "", fmt.Errorf("configure registry: %w", err)
	}
	return config, nil
}

// writePasswords has a tool of the registry's module make the line, so that our own module needs no
// bcrypt.
func writePasswords(ctx context.Context, file string, opts RegistryOptions) error {
	path, err := Locate("registry-passwd")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, opts.User)
	cmd.Stdin = bytes.NewBufferString(opts.Password)
	line, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("make the registry's password file: %w", err)
	}
	if err := os.WriteFile(file, line, 0o600); err != nil {
		return fmt.Errorf("make the registry's password file: %w", err)
	}
	return nil
}

func (r *Registry) healthy(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL()+"/", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Host is "127.0.0.1:<port>", as it stands in an image's name. Docker and BuildKit take a registry
// there as insecure by themselves.
func (r *Registry) Host() string { return r.host }

// URL is the registry's address.
func (r *Registry) URL() string { return "http://" + r.host }

// Log is the path of the registry's log; it has a line for each request.
func (r *Registry) Log() string { return r.process.logPath }

// Close ends the registry. It may be called again.
func (r *Registry) Close() error {
	r.process.stop()
	return nil
}
