package registry

import (
	"errors"
	"fmt"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/docker/cli/cli/config/types"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

// Login is the credential of a pull or a push.
type Login struct {
	Host string
	// Header is the value of X-Registry-Auth for an engine, "" for none.
	Header string

	secrets *redact.Redactor
	// user and secret are for a registry that is asked without the engine. The secret is a
	// password, or without a user an identity token.
	user, secret string
}

// PasswordLogin returns a login with a user name and a password.
func PasswordLogin(host, user, password string) (Login, error) {
	return newLogin(host, types.AuthConfig{Username: user, Password: password,
		ServerAddress: host})
}

func newLogin(host string, auth types.AuthConfig) (Login, error) {
	value, err := header(auth)
	if err != nil {
		return Login{}, err
	}
	l := Login{Host: host, Header: value, user: auth.Username, secret: auth.Password,
		secrets: redact.New(auth.Password, auth.IdentityToken, auth.RegistryToken, value)}
	if auth.IdentityToken != "" {
		l.user, l.secret = "", auth.IdentityToken
	}
	return l, nil
}

// HeaderOrNone is the header for requests that require one, such as the push of engines before 23.
func (l Login) HeaderOrNone() string {
	if l.Header != "" {
		return l.Header
	}
	value, _ := authconfig.Encode(registry.AuthConfig{}) // an empty struct always marshals
	return value
}

// Clean returns err without the credential, which a registry may have echoed, and without HTML.
func (l Login) Clean(err error) error { return l.secrets.Error(errtext.Plain(err)) }

// Explain returns err with the kind and the situation of what the registry answered about ref.
func (l Login) Explain(r Refusal, ref string, err error) error {
	detail := l.Host
	switch {
	case r.Situation == errdef.RegistryImageMissing:
		detail = ref
	case errors.Is(r.Cause, imagestore.ErrUnavailable):
		err = fmt.Errorf("%s does not answer: %w", l.Host, err)
	}
	if r.Cause != nil {
		err = fmt.Errorf("%w: %w", r.Cause, err)
	}
	if r.Situation == "" {
		return err
	}
	return errdef.In(r.Situation, detail, err)
}

// forHost returns the credentials if a host is the login's.
func (l Login) forHost(host string) (user, secret string, err error) {
	if own, err := docker.DefaultHost(l.Host); err != nil || host != own {
		return "", "", err
	}
	return l.user, l.secret, nil
}
