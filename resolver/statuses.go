package resolver

import (
	"crypto/tls"
	"maps"
	"net/url"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// ForgeKind is the program that serves a git server's API.
type ForgeKind string

// The kinds of forges that take commit statuses. The API of Forgejo is Gitea's.
const (
	ForgeGitea   ForgeKind = "gitea"
	ForgeForgejo ForgeKind = "forgejo"
	ForgeGitHub  ForgeKind = "github"
	ForgeGitLab  ForgeKind = "gitlab"
)

func forgeKinds() []string {
	return []string{string(ForgeForgejo), string(ForgeGitea), string(ForgeGitHub),
		string(ForgeGitLab)}
}

// forgeOf returns the kind of a public server, "" for all others.
func forgeOf(host string) ForgeKind {
	switch strings.TrimSuffix(host, ":443") {
	case "github.com":
		return ForgeGitHub
	case "gitlab.com":
		return ForgeGitLab
	case "codeberg.org":
		return ForgeForgejo
	}
	return ""
}

// Forge is a repository at a forge that takes commit statuses.
type Forge struct {
	Kind ForgeKind
	// Remote is the repository. It has http only if the catalogue allows that.
	Remote git.Remote
	// Token is for the API of the remote's host alone.
	Token string
	// TLS has the certificates of the configuration, nil for none. It is shared, and must not be
	// changed.
	TLS *tls.Config
}

// Base returns the address at which the forge is served, without a slash at its end, and the path
// of the repository below it. An owner/name is taken for the end of the remote's path where the
// kind of the forge has no groups in groups.
func (f Forge) Base() (base, repository string) {
	base, repository = f.Remote.Scheme()+"://"+f.Remote.Host(), f.Remote.Path()
	parts := strings.Split(repository, "/")
	if f.Kind == ForgeGitLab || len(parts) < 3 {
		return base, repository
	}
	for _, part := range parts[:len(parts)-2] {
		base += "/" + url.PathEscape(part)
	}
	return base, strings.Join(parts[len(parts)-2:], "/")
}

// Forge returns where the statuses of a remote's commits go, and false if the configuration has no
// token for them.
func (s Setup) Forge(r git.Remote) (Forge, bool) {
	server := s.Servers.For(r)
	token := byHost(s.StatusTokens, r)
	if token == "" {
		return Forge{}, false
	}
	return Forge{Kind: server.Forge, Remote: r, Token: token, TLS: server.tls}, true
}

// statusTokens returns the tokens for commit statuses by host.
func (cfg LoadConfig) statusTokens(servers Servers) map[string]string {
	tokens := map[string]string{}
	for host, server := range servers {
		if server.StatusTokenEnv == "" {
			continue
		}
		if token := cfg.variable(server.StatusTokenEnv); token != "" {
			tokens[host] = token
		}
	}
	return tokens
}

// Secrets returns every token, in the forms in which it is sent.
func (s Setup) Secrets() []string {
	secrets := s.Credentials.Secrets()
	for token := range maps.Values(s.StatusTokens) {
		secrets = append(secrets, token)
	}
	return secrets
}

// SecretEnvs returns the names of all environment variables that the configuration says hold a
// token.
func (s Setup) SecretEnvs() []string {
	var names []string
	for name := range maps.Values(s.Catalogue.TokenEnvs()) {
		names = append(names, name)
	}
	for server := range maps.Values(s.Servers) {
		if server.StatusTokenEnv != "" {
			names = append(names, server.StatusTokenEnv)
		}
	}
	return names
}
