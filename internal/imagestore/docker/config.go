package docker

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// ErrConfig means that the Docker configuration does not lead to an engine: a context is unknown,
// or a host or a file is malformed.
var ErrConfig = errors.New("invalid Docker configuration")

// Config selects an engine in the terms of Docker's CLI. The zero value with a Lookup selects the
// engine of Docker's CLI without options.
type Config struct {
	Host      string // as Docker's --host; excludes Context
	Context   string // as --context; beats DOCKER_HOST and DOCKER_CONTEXT
	ConfigDir string // as --config; default DOCKER_CONFIG, then ~/.docker
	// Lookup returns DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG,
	// DOCKER_AUTH_CONFIG, DOCKER_API_VERSION, DOCKER_TLS, DOCKER_TLS_VERIFY,
	// DOCKER_CERT_PATH and HOME. In practice os.LookupEnv; nil knows none.
	Lookup func(string) (string, bool)
}

// DockerConfig reads the Docker config. A missing file is an empty config, an unreadable one is
// ErrConfig. It does no other I/O. Callers use it for registry credentials without an engine.
func (c Config) DockerConfig() (*configfile.ConfigFile, error) {
	dir := c.Dir()
	if dir == "" {
		return configfile.New(""), nil
	}
	file, err := config.Load(dir)
	if err != nil {
		return nil, errdef.In(errdef.DockerConfigBroken, "", fmt.Errorf("%w: %w", ErrConfig, err))
	}
	return file, nil
}

func (c Config) logins(file *configfile.ConfigFile) (registry.Logins, error) {
	logins, err := registry.NewLogins(file, c.get("DOCKER_AUTH_CONFIG"))
	if err != nil {
		return logins, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return logins, nil
}

// Login returns the credential for one registry. It reads the Docker config each time, and needs no
// engine.
func (c Config) Login(host string) (registry.Login, error) {
	file, err := c.DockerConfig()
	if err != nil {
		return registry.Login{}, err
	}
	logins, err := c.logins(file)
	if err != nil {
		return registry.Login{}, err
	}
	return logins.For(host)
}

// get returns a variable's value. Unset and empty are the same to Docker.
func (c Config) get(name string) string {
	if c.Lookup == nil {
		return ""
	}
	value, _ := c.Lookup(name)
	return value
}

// Dir returns the Docker config folder, or "" if it is not known.
func (c Config) Dir() string {
	if c.ConfigDir != "" {
		return c.ConfigDir
	}
	if dir := c.get("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	if home := c.home(); home != "" {
		return filepath.Join(home, ".docker")
	}
	return ""
}

func (c Config) home() string {
	name := "HOME"
	if runtime.GOOS == "windows" {
		name = "USERPROFILE"
	}
	if home := c.get(name); home != "" {
		return home
	}
	// A service without HOME still has a home folder, and Docker's CLI finds it.
	u, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil {
		return ""
	}
	return u.HomeDir
}

// Named reports whether Host, Context or a variable names the engine. Docker's default and the
// current context of the config file do not count.
func (c Config) Named() bool {
	return c.Host != "" || c.Context != "" || c.get("DOCKER_HOST") != "" ||
		c.get("DOCKER_CONTEXT") != ""
}
