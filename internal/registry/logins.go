package registry

import (
	"errors"
	"fmt"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// hubKey is the name under which Docker configs keep the credentials of
// docker.io (docker/cli, cli/config/configfile).
const hubKey = "https://index.docker.io/v1/"

// Logins has the registry credentials of a Docker config. configfile.GetAuthConfig is not used,
// since it takes DOCKER_AUTH_CONFIG from the process's environment.
type Logins struct {
	file *configfile.ConfigFile
	env  map[string]types.AuthConfig // DOCKER_AUTH_CONFIG, which beats the file
}

// NewLogins returns the credentials of a Docker config and of DOCKER_AUTH_CONFIG, which may be "".
func NewLogins(file *configfile.ConfigFile, env string) (Logins, error) {
	logins := Logins{file: file}
	if env == "" {
		return logins, nil
	}
	fromEnv, err := config.LoadFromReader(strings.NewReader(env))
	if err != nil {
		// The parser's message may quote what it read.
		return logins, errors.New("DOCKER_AUTH_CONFIG is malformed")
	}
	logins.env = fromEnv.AuthConfigs
	return logins, nil
}

// For returns the credential for a registry, one without content if there is none. A credential
// helper that fails is ErrUnauthorized.
func (a Logins) For(host string) (Login, error) {
	auth, err := a.find(host)
	if err != nil {
		return Login{}, errdef.In(errdef.CredentialHelperFailed, host,
			fmt.Errorf("%w: %w", imagestore.ErrUnauthorized, err))
	}
	return newLogin(host, auth)
}

// find runs the credential helper that the config names for the registry, or for all.
func (a Logins) find(host string) (types.AuthConfig, error) {
	key := host
	if host == "docker.io" || host == "index.docker.io" {
		key = hubKey
	}
	if auth, ok := a.env[key]; ok {
		return auth, nil
	}
	helper := a.file.CredentialsStore
	if h, ok := a.file.CredentialHelpers[key]; ok {
		helper = h
	}
	if helper == "" {
		return credentials.NewFileStore(a.file).Get(key)
	}
	auth, err := credentials.NewNativeStore(a.file, helper).Get(key)
	if err != nil {
		return types.AuthConfig{},
			fmt.Errorf("credential helper docker-credential-%s: %w", helper, err)
	}
	return auth, nil
}

// header returns the value of X-Registry-Auth, "" for none.
func header(auth types.AuthConfig) (string, error) {
	if auth.Username == "" && auth.Password == "" && auth.IdentityToken == "" &&
		auth.RegistryToken == "" {
		return "", nil
	}
	value, err := authconfig.Encode(registry.AuthConfig{
		Username:      auth.Username,
		Password:      auth.Password,
		ServerAddress: auth.ServerAddress,
		IdentityToken: auth.IdentityToken,
		RegistryToken: auth.RegistryToken,
	})
	if err != nil {
		return "", errors.New("registry credentials cannot be encoded")
	}
	return value, nil
}
