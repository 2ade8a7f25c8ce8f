package resolver

import (
	"maps"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Credentials are access tokens by the host[:port] they are for, in lower case.
// A nil map means that every server is asked anonymously.
type Credentials map[string]string

// For returns the token for a remote's host, "" if there is none. A host with
// the scheme's default port and the same host without a port are one.
func (c Credentials) For(r git.Remote) string {
	if token := c[r.Host()]; token != "" {
		return token
	}
	port := ":443"
	if r.Scheme() == "http" {
		port = ":80"
	}
	if bare, had := strings.CutSuffix(r.Host(), port); had {
		return c[bare]
	}
	return c[r.Host()+port]
}

// tokens returns every token, for redaction.
func (c Credentials) tokens() []string {
	return slices.Collect(maps.Values(c))
}
