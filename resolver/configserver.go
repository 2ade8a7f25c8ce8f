package resolver

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// credentialConfig names where a server's token, and the user name that goes with it, come from.
type credentialConfig struct {
	Host     string `yaml:"host"`
	TokenEnv string `yaml:"token_env"`
	User     string `yaml:"user"`
	UserEnv  string `yaml:"user_env"`
}

// serverConfig says how a git server is asked.
type serverConfig struct {
	Host       string `yaml:"host"`
	Redirects  string `yaml:"redirects"`
	CAFile     string `yaml:"ca_file"`
	ClientCert string `yaml:"client_cert"`
	ClientKey  string `yaml:"client_key"`
	Forge      string `yaml:"forge"`
	StatusEnv  string `yaml:"status_token_env"`
}

// The values of redirects.
const (
	redirectsNever    = "never"
	redirectsSameHost = "same-host"
)

func (r reader) credential(node *yaml.Node) (string, error) {
	var entry credentialConfig
	if err := decodeEntry(node, &entry); err != nil {
		return "", err
	}
	host, err := r.catalogue.addCredential(entry)
	meaning := host + " with the token in " + entry.TokenEnv
	switch {
	case entry.User != "":
		meaning += " and the user name " + quote(entry.User)
	case entry.UserEnv != "":
		meaning += " and the user name in " + entry.UserEnv
	}
	return meaning, err
}

// addCredential returns the host as a URL has it.
func (c *Catalogue) addCredential(entry credentialConfig) (host string, err error) {
	if host, err = parseHost(entry.Host); err != nil {
		return "", err
	}
	if !isEnvName(entry.TokenEnv) {
		// The error doesn't repeat it: it may be the token.
		return "", inKey(fmt.Errorf("%w: token_env of host %s: give the name of an environment "+
			"variable, never the token itself", ErrInvalidInput, host), "token_env")
	}
	switch {
	case entry.User != "" && entry.UserEnv != "":
		return "", inKey(fmt.Errorf("%w: user and user_env of host %s: write one of them",
			ErrInvalidInput, host), "user_env")
	case !isUserName(entry.User):
		return "", inKey(fmt.Errorf("%w: user of host %s: give a user name without a colon; the "+
			"password is what token_env names", ErrInvalidInput, host), "user")
	case entry.UserEnv != "" && !isEnvName(entry.UserEnv):
		return "", inKey(fmt.Errorf("%w: user_env of host %s: give the name of an environment "+
			"variable, or the user name itself as user", ErrInvalidInput, host), "user_env")
	}
	if _, taken := c.credentials[host]; taken {
		return "", inKey(fmt.Errorf("%w: host %s has a credential already: remove one",
			ErrInvalidInput, host), "host")
	}
	c.credentials[host] = entry
	return host, nil
}

// isUserName reports whether HTTP's Basic authentication can carry a name; "" is none.
func isUserName(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == ':' || r < ' ' || r == 0x7f })
}

func (r reader) server(node *yaml.Node) (string, error) {
	var entry serverConfig
	if err := decodeEntry(node, &entry); err != nil {
		return "", err
	}
	host, err := parseHost(entry.Host)
	if err != nil {
		return "", err
	}
	s, err := entry.server(filepath.Dir(r.path))
	if err == nil {
		err = entry.reports(host, &s)
	}
	if err != nil {
		return "", err
	}
	if _, taken := r.catalogue.servers[host]; taken {
		return "", inKey(fmt.Errorf("%w: host %s is there already: remove one", ErrInvalidInput,
			host), "host")
	}
	r.catalogue.servers[host] = s
	return host + s.describe(), nil
}

// server checks an entry. Its files are below dir unless their paths are absolute.
func (e serverConfig) server(dir string) (Server, error) {
	s := Server{FollowRedirects: e.Redirects == redirectsSameHost}
	switch e.Redirects {
	case "", redirectsNever, redirectsSameHost:
	default:
		return s, inKey(fmt.Errorf("%w: redirects is %s or %s, not %s", ErrInvalidInput,
			redirectsNever, redirectsSameHost, quote(e.Redirects)), "redirects")
	}
	if (e.ClientCert == "") != (e.ClientKey == "") {
		return s, inKey(fmt.Errorf("%w: client_cert and client_key go together: write both",
			ErrInvalidInput), "client_cert")
	}
	for _, file := range []struct {
		from string
		to   *string
	}{{e.CAFile, &s.CAFile}, {e.ClientCert, &s.ClientCert}, {e.ClientKey, &s.ClientKey}} {
		if *file.to = file.from; file.from != "" && !filepath.IsAbs(file.from) {
			*file.to = filepath.Join(dir, file.from)
		}
	}
	var err error
	s.tls, err = s.readFiles()
	return s, err
}

// reports checks what an entry says of commit statuses.
func (e serverConfig) reports(host string, s *Server) error {
	s.Forge, s.StatusTokenEnv = ForgeKind(e.Forge), e.StatusEnv
	if e.Forge == "" {
		s.Forge = forgeOf(host)
	}
	switch {
	case e.Forge != "" && !slices.Contains(forgeKinds(), e.Forge):
		return inKey(fmt.Errorf("%w: forge is one of %s, not %s", ErrInvalidInput,
			strings.Join(forgeKinds(), ", "), quote(e.Forge)), "forge")
	case e.StatusEnv != "" && !isEnvName(e.StatusEnv):
		// The error doesn't repeat it: it may be the token.
		return inKey(fmt.Errorf("%w: status_token_env of host %s: give the name of an environment "+
			"variable, never the token itself", ErrInvalidInput, host), "status_token_env")
	case e.StatusEnv != "" && s.Forge == "":
		return inKey(fmt.Errorf("%w: host %s gets statuses, so say what it is: forge is one of %s",
			ErrInvalidInput, host, strings.Join(forgeKinds(), ", ")), "status_token_env")
	}
	return nil
}

func (s Server) describe() string {
	var text string
	if s.FollowRedirects {
		text += ", redirects on the same host"
	}
	if s.CAFile != "" {
		text += ", certificates of " + s.CAFile
	}
	if s.ClientCert != "" {
		text += ", with the client certificate " + s.ClientCert
	}
	if s.StatusTokenEnv != "" {
		text += fmt.Sprintf(", a %s that gets statuses with the token in %s", s.Forge,
			s.StatusTokenEnv)
	}
	return text
}

// parseHost returns a host as a URL has it.
func parseHost(s string) (string, error) {
	remote, err := git.ParseRemote("https://" + s + "/host")
	if err != nil || remote.Path() != "host" {
		return "", inKey(fmt.Errorf("%w: host %s: give a host name, with its port if it has one",
			ErrInvalidInput, quote(s)), "host")
	}
	return remote.Host(), nil
}
