package resolver

import (
	"encoding/base64"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// tokenUser is the user name that goes with a token that needs none. BuildKit
// sends the same.
const tokenUser = "x-access-token"

// Credential is what a git server is shown. The zero value is nothing.
type Credential struct {
	User  string // "" for a token that needs no user name
	Token string // or password
}

// Header returns the value of the Authorization header for a Credential with a
// User, "" for one without.
func (c Credential) Header() string {
	if c.User == "" || c.Token == "" {
		return ""
	}
	return "Basic " + c.base64(base64.StdEncoding)
}

func (c Credential) base64(enc *base64.Encoding) string {
	return enc.EncodeToString([]byte(c.User + ":" + c.Token))
}

// Credentials are by the host[:port] they are for, in lower case. A nil map means
// that every server is asked anonymously.
type Credentials map[string]Credential

// For returns the credential for a remote's host, the zero value if there is none.
// A host with the scheme's default port and the same host without a port are one.
func (c Credentials) For(r git.Remote) Credential { return byHost(c, r) }

// Secrets returns every token, alone and as it is sent with its user name, for redaction.
func (c Credentials) Secrets() []string {
	var secrets []string
	for _, cred := range c {
		if cred.Token == "" {
			continue
		}
		secrets = append(secrets, cred.Token)
		if cred.User != "" {
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
				secrets = append(secrets, cred.base64(enc))
			}
		}
	}
	return secrets
}

// byHost returns what a map by host[:port] has for a remote.
func byHost[T comparable](m map[string]T, r git.Remote) T {
	return byName(m, r.Scheme(), r.Host())
}

func byName[T comparable](m map[string]T, scheme, host string) T {
	var none T
	if v := m[host]; v != none {
		return v
	}
	port := ":443"
	if scheme == "http" {
		port = ":80"
	}
	if bare, had := strings.CutSuffix(host, port); had {
		return m[bare]
	}
	return m[host+port]
}
