package imagestore

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
)

// EngineConfig says which engine to use, in the terms of Docker's CLI. The
// zero value with a Lookup means what plain `docker` means.
type EngineConfig struct {
	Host      string // --host; excludes Context
	Context   string // --context; beats DOCKER_HOST and DOCKER_CONTEXT
	ConfigDir string // --config; default DOCKER_CONFIG, then ~/.docker
	// Lookup gives DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG,
	// DOCKER_AUTH_CONFIG, DOCKER_API_VERSION, DOCKER_TLS, DOCKER_TLS_VERIFY,
	// DOCKER_CERT_PATH and HOME. In practice os.LookupEnv; nil knows none.
	Lookup func(string) (string, bool)
}

// DockerConfig reads the Docker config that the engine is looked up with: a
// missing file is an empty config, an unreadable one is ErrConfig. It does no
// other I/O, and is for callers that need registry credentials without an
// engine.
func (c EngineConfig) DockerConfig() (*configfile.ConfigFile, error) {
	dir := c.Dir()
	if dir == "" {
		return configfile.New(""), nil
	}
	file, err := config.Load(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; repair or remove the file", ErrConfig, err)
	}
	return file, nil
}

// get is a variable's value; unset and empty mean the same to Docker.
func (c EngineConfig) get(name string) string {
	if c.Lookup == nil {
		return ""
	}
	value, _ := c.Lookup(name)
	return value
}

// Dir is the Docker config folder, or "" if nothing says where it is.
func (c EngineConfig) Dir() string {
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

func (c EngineConfig) home() string {
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

// Named says that a flag or a variable names the engine. Docker's default, and a context that was
// chosen for all commands, are there without anybody having thought of this one.
func (c EngineConfig) Named() bool {
	return c.Host != "" || c.Context != "" || c.get("DOCKER_HOST") != "" ||
		c.get("DOCKER_CONTEXT") != ""
}
