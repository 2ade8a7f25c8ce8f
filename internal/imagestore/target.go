package imagestore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/cli/cli/config/configfile"
	dockercontext "github.com/docker/cli/cli/context"
	"github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
)

// DefaultContext is the name of the context that is no context: the host and
// TLS files that flags and variables name.
const DefaultContext = "default"

// target finds the engine in the order of Docker's CLI.
func (c EngineConfig) target(file *configfile.ConfigFile) (docker.Endpoint, error) {
	if c.Host != "" && c.Context != "" {
		return docker.Endpoint{}, fmt.Errorf("%w: --host and --context exclude each other",
			ErrConfig)
	}
	name := c.contextName(file)
	if name == DefaultContext {
		return c.defaultTarget()
	}
	return c.contextTarget(name)
}

func (c EngineConfig) contextName(file *configfile.ConfigFile) string {
	switch {
	case c.Context != "":
		return c.Context
	case c.Host != "", c.get("DOCKER_HOST") != "":
		return DefaultContext
	case c.get("DOCKER_CONTEXT") != "":
		return c.get("DOCKER_CONTEXT")
	case file.CurrentContext != "":
		return file.CurrentContext
	}
	return DefaultContext
}

func (c EngineConfig) contextTarget(name string) (docker.Endpoint, error) {
	contexts := store.New(filepath.Join(c.Dir(), "contexts"), store.NewConfig(nil,
		store.EndpointTypeGetter(docker.DockerEndpoint, func() any {
			return &docker.EndpointMeta{}
		})))
	meta, err := contexts.GetMetadata(name)
	if cerrdefs.IsNotFound(err) {
		return docker.Endpoint{},
			fmt.Errorf("%w: there is no Docker context %q; see `docker context ls`", ErrConfig,
				name)
	}
	if err != nil {
		return docker.Endpoint{}, fmt.Errorf("%w: context %q: %w", ErrConfig, name, err)
	}
	endpoint, err := docker.EndpointFromContext(meta)
	if err != nil {
		return docker.Endpoint{}, fmt.Errorf("%w: context %q: %w", ErrConfig, name, err)
	}
	if endpoint.Host, err = parseHost(endpoint.Host, false); err != nil {
		return docker.Endpoint{}, err
	}
	return docker.WithTLSData(contexts, name, endpoint)
}

// defaultTarget follows DOCKER_TLS_VERIFY (TLS, and the server is verified),
// DOCKER_TLS (TLS, and it is not) and DOCKER_CERT_PATH (by default the config
// folder), as Docker's CLI does.
func (c EngineConfig) defaultTarget() (docker.Endpoint, error) {
	verify := c.get("DOCKER_TLS_VERIFY") != ""
	withTLS := verify || c.get("DOCKER_TLS") != ""
	raw := c.Host
	if raw == "" {
		raw = c.get("DOCKER_HOST")
	}
	host, err := parseHost(raw, withTLS)
	if err != nil {
		return docker.Endpoint{}, err
	}
	target := docker.Endpoint{EndpointMeta: docker.EndpointMeta{Host: host,
		SkipTLSVerify: withTLS && !verify}}
	if withTLS && strings.HasPrefix(host, "tcp://") {
		target.TLSData, err = c.tlsFiles()
	}
	return target, err
}

// tlsFiles reads ca.pem, cert.pem and key.pem. The client's own pair may be
// missing: not every server asks for it.
func (c EngineConfig) tlsFiles() (*dockercontext.TLSData, error) {
	dir := c.get("DOCKER_CERT_PATH")
	if dir == "" {
		dir = c.Dir()
	}
	data, err := dockercontext.TLSDataFromFiles(filepath.Join(dir, "ca.pem"), "", "")
	if err != nil {
		return nil, fmt.Errorf("%w: TLS is on, but %w; set DOCKER_CERT_PATH", ErrConfig, err)
	}
	pair, err := dockercontext.TLSDataFromFiles("", filepath.Join(dir, "cert.pem"),
		filepath.Join(dir, "key.pem"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return data, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	data.Cert, data.Key = pair.Cert, pair.Key
	return data, nil
}

// CurrentContext is the Docker context that the configuration means, "default" where it means none,
// and host is the engine's address as Docker's CLI has it. No engine is asked. Errors are *Error
// with ErrConfig.
func (c EngineConfig) CurrentContext() (name, host string, err error) {
	file, err := c.DockerConfig()
	if err != nil {
		return "", "", &Error{Op: "context", Origin: OriginDocker, Err: err}
	}
	target, err := c.target(file)
	if err != nil {
		return "", "", &Error{Op: "context", Origin: OriginDocker, Err: err}
	}
	return c.contextName(file), target.Host, nil
}

// At is the configuration for the engine that buildx calls a node's endpoint: a host (it has a
// colon, which names have not), or a context's name. The name of the default context means what it
// means here.
func (c EngineConfig) At(endpoint string) EngineConfig {
	switch {
	case strings.Contains(endpoint, ":"):
		c.Host, c.Context = endpoint, ""
	case endpoint != DefaultContext || c.Host == "":
		c.Host, c.Context = "", endpoint
	}
	return c
}
