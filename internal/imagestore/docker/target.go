package docker

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

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// DefaultContext is the name of the context that stands for the host and TLS files that the
// configuration and the variables name.
const DefaultContext = "default"

// target finds the engine in the order of Docker's CLI.
func (c Config) target(file *configfile.ConfigFile) (docker.Endpoint, error) {
	if c.Host != "" && c.Context != "" {
		return docker.Endpoint{}, fmt.Errorf("%w: it names both a host and a context", ErrConfig)
	}
	name := c.contextName(file)
	if name == DefaultContext {
		return c.defaultTarget()
	}
	return c.contextTarget(name)
}

func (c Config) contextName(file *configfile.ConfigFile) string {
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

func (c Config) contextTarget(name string) (docker.Endpoint, error) {
	contexts := store.New(filepath.Join(c.Dir(), "contexts"), store.NewConfig(nil,
		store.EndpointTypeGetter(docker.DockerEndpoint, func() any {
			return &docker.EndpointMeta{}
		})))
	meta, err := contexts.GetMetadata(name)
	if cerrdefs.IsNotFound(err) {
		return docker.Endpoint{}, errdef.In(errdef.ContextUnknown, name,
			fmt.Errorf("%w: there is no Docker context %q", ErrConfig, name))
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
func (c Config) defaultTarget() (docker.Endpoint, error) {
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
func (c Config) tlsFiles() (*dockercontext.TLSData, error) {
	dir := c.get("DOCKER_CERT_PATH")
	if dir == "" {
		dir = c.Dir()
	}
	data, err := dockercontext.TLSDataFromFiles(filepath.Join(dir, "ca.pem"), "", "")
	if err != nil {
		return nil, errdef.In(errdef.TLSFilesMissing, dir, fmt.Errorf(
			"%w: TLS is on, but the files in DOCKER_CERT_PATH or the config folder: %w",
			ErrConfig, err))
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

// CurrentContext returns the name of the Docker context that the configuration leads to, "default"
// if it leads to none, and the engine's address in the form of Docker's CLI. It does not contact
// the engine. Errors are *imagestore.Error with ErrConfig.
func (c Config) CurrentContext() (name, host string, err error) {
	file, err := c.DockerConfig()
	if err != nil {
		return "", "", &imagestore.Error{Op: "context", Origin: imagestore.OriginDocker, Err: err}
	}
	target, err := c.target(file)
	if err != nil {
		return "", "", &imagestore.Error{Op: "context", Origin: imagestore.OriginDocker, Err: err}
	}
	return c.contextName(file), target.Host, nil
}

// At returns the configuration for the endpoint of a buildx node: a host, which contains a colon,
// or the name of a context, which does not. The default context is that of c.
func (c Config) At(endpoint string) Config {
	switch {
	case strings.Contains(endpoint, ":"):
		c.Host, c.Context = endpoint, ""
	case endpoint != DefaultContext || c.Host == "":
		c.Host, c.Context = "", endpoint
	}
	return c
}
