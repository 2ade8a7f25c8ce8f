package resolver

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// LoadConfig is what [Load] puts a catalogue and its credentials together from.
type LoadConfig struct {
	Prefix    string // of the known runtimes' repositories; "" is DefaultRepoPrefix
	AllowHTTP bool   // lets Prefix be an http URL of any host
	File      string // a configuration file, see [Catalogue.AddEntries]; "" for none
	Required  bool   // makes a File that does not exist an error
	Token     string // for the host of Prefix; "" for none
	// Lookup reads the variables that the File names for other hosts' tokens, as os.LookupEnv does.
	Lookup func(name string) (value string, ok bool)
}

// Setup is what [Load] returns.
type Setup struct {
	Catalogue   *Catalogue
	Credentials Credentials
	Servers     Servers
	// StatusTokens are for commit statuses, by host[:port].
	StatusTokens map[string]string
	// TokenHint returns where the token of a host comes from, for [WithTokenHint].
	TokenHint func(host string) string
}

// Load returns the catalogue, the credentials and the names of their variables. Each token is bound
// to one host: Token to that of the Prefix, the others to those that the File names them for. An
// entry of the File that is wrong is no error: [Catalogue.Problems] lists it. The error is an
// ErrInvalidInput.
func Load(cfg LoadConfig) (Setup, error) {
	catalogue, err := cfg.catalogue()
	if err != nil {
		return Setup{}, err
	}
	own, err := cfg.host()
	if err != nil {
		return Setup{}, err
	}
	names := catalogue.TokenEnvs()
	creds := Credentials{}
	for host, entry := range catalogue.credentials {
		if token := cfg.variable(entry.TokenEnv); token != "" {
			creds[host] = Credential{User: cfg.userOf(entry), Token: token}
		}
	}
	if cfg.Token != "" {
		creds[own] = Credential{Token: cfg.Token}
		if entry := catalogue.credentials[own]; entry.TokenEnv == DefaultTokenEnv {
			creds[own] = Credential{User: cfg.userOf(entry), Token: cfg.Token}
		}
	}
	hint := func(host string) string {
		if host == own && (cfg.Token != "" || names[host] == "") {
			return DefaultTokenEnv
		}
		return cmp.Or(names[host], "a token_env for "+host+" under credentials in the config file")
	}
	servers := catalogue.Servers()
	return Setup{Catalogue: catalogue, Credentials: creds, Servers: servers, TokenHint: hint,
		StatusTokens: cfg.statusTokens(servers)}, nil
}

// variable returns the value of an environment variable without blanks around it.
func (cfg LoadConfig) variable(name string) string {
	value, _ := cfg.Lookup(name)
	return strings.TrimSpace(value)
}

// userOf returns the user name of an entry. One that a variable gives in a form that cannot be sent
// is left out, so that the server refuses the token.
func (cfg LoadConfig) userOf(entry credentialConfig) string {
	if entry.UserEnv == "" {
		return entry.User
	}
	if user := cfg.variable(entry.UserEnv); isUserName(user) {
		return user
	}
	return ""
}

func (cfg LoadConfig) catalogue() (*Catalogue, error) {
	var opts []CatalogueOption
	if cfg.AllowHTTP {
		opts = append(opts, AllowInsecureHTTP())
	}
	c, err := NewCatalogue(cfg.Prefix, opts...)
	if err != nil || cfg.File == "" {
		return c, err
	}
	err = c.AddEntries(cfg.File)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist) && !cfg.Required:
		return c, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, errdef.In(errdef.ConfigMissing, "", fmt.Errorf("%w: %w", ErrInvalidInput, err))
	default:
		return nil, err
	}
}

// host returns the host of the prefix, which by itself ends in the middle of a path element.
func (cfg LoadConfig) host() (string, error) {
	var opts []git.RemoteOption
	if cfg.AllowHTTP {
		opts = append(opts, git.AllowInsecureHTTP())
	}
	r, err := git.ParseRemote(cmp.Or(cfg.Prefix, DefaultRepoPrefix)+"x", opts...)
	if err != nil {
		return "", err
	}
	return r.Host(), nil
}
