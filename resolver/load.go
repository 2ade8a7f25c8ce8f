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
	// TokenHint returns where the token of a host comes from, for [WithTokenHint].
	TokenHint func(host string) string
}

// Load returns the catalogue, the credentials and the names of their variables. Each token is bound
// to one host: Token to that of the Prefix, the others to those that the File names them for. An
// entry of the File that is wrong is no error: [Catalogue.Problems] lists it. The error is an
// ErrInvalidInput, or the system's for a File that cannot be read.
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
	for host, name := range names {
		if token, _ := cfg.Lookup(name); strings.TrimSpace(token) != "" {
			creds[host] = Credential{Token: strings.TrimSpace(token)}
		}
	}
	if cfg.Token != "" {
		creds[own] = Credential{Token: cfg.Token}
	}
	hint := func(host string) string {
		if host == own {
			return DefaultTokenEnv
		}
		return cmp.Or(names[host], "a token_env for "+host+" under credentials in the config file")
	}
	return Setup{Catalogue: catalogue, Credentials: creds, TokenHint: hint}, nil
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
