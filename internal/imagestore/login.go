package imagestore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	cerrdefs "github.com/containerd/errdefs"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

// login is what a pull or a push shows to a registry.
type login struct {
	host    string
	header  string // of X-Registry-Auth, "" for none
	secrets *redact.Redactor
}

func (e *Engine) login(host string) (login, error) {
	auth, err := e.auth.forHost(host)
	if err != nil {
		return login{}, fmt.Errorf("%w: %w; repair the helper, or run `docker login %s`",
			ErrUnauthorized, err, host)
	}
	value, err := header(auth)
	if err != nil {
		return login{}, err
	}
	var secrets []string
	for _, s := range []string{auth.Password, auth.IdentityToken, auth.RegistryToken, value} {
		if s != "" {
			secrets = append(secrets, s)
		}
	}
	return login{host: host, header: value, secrets: redact.New(secrets...)}, nil
}

// registryFailure tells the engine's failures from the registry's, and cuts the
// credentials out, which a registry may have echoed.
func (e *Engine) registryFailure(ctx context.Context, op, ref string, login login,
	err error) error {
	if ctx.Err() != nil || brokenConnection(err) {
		return e.fail(ctx, op, ref, err)
	}
	err = login.secrets.Error(err)
	switch cause := registryCause(err, ref); {
	case errors.Is(cause, ErrUnauthorized):
		may := map[string]string{"pull": "read", "push": "write"}[op]
		err = fmt.Errorf("%w: %w; run `docker login %s` with an account that may %s it",
			ErrUnauthorized, err, login.host, may)
	case errors.Is(cause, ErrNotFound):
		err = fmt.Errorf("%w: %w; check the name and the tag of %s", ErrNotFound, err, ref)
	case errors.Is(cause, ErrUnavailable):
		err = fmt.Errorf("%s %w as seen from the engine: %w; check the engine's network and proxy",
			login.host, ErrUnavailable, err)
	}
	return &Error{Op: op, Origin: OriginRegistry, Ref: ref, Err: err}
}

// registryCause sorts an engine's account of a failed pull or push, nil if it cannot.
// An engine answers 404 for "denied" and 500 for a refused login and for a
// dead network alike, so the text decides before the status does. The words
// are the error codes of the OCI distribution spec and their descriptions, and
// what Go's net and Docker's registry client say.
func registryCause(err error, ref string) error {
	// A repository may be called "denied".
	text := strings.ToLower(strings.ReplaceAll(err.Error(), ref, ""))
	for _, known := range []struct {
		cause error
		words []string
	}{
		{ErrUnauthorized, []string{"unauthorized", "denied", "no basic auth credentials",
			"authentication required",
			"authorization failed", "403 forbidden", "incorrect username or password"}},
		{ErrNotFound, []string{"manifest unknown", "name unknown", "not found",
			"no matching manifest"}},
		{ErrUnavailable, []string{"dial tcp", "connection refused", "connection reset",
			"no such host", "i/o timeout",
			"tls:", "x509:", "client.timeout", "context deadline exceeded",
			"unexpected http status: 5", "unexpected status: 5",
			"503 service unavailable", "502 bad gateway", ": eof", "toomanyrequests"}},
	} {
		for _, word := range known.words {
			if strings.Contains(text, word) {
				return known.cause
			}
		}
	}
	return statusCause(err)
}

func statusCause(err error) error {
	var inStream *streamError
	if errors.As(err, &inStream) {
		switch inStream.code {
		case http.StatusUnauthorized, http.StatusForbidden:
			return ErrUnauthorized
		case http.StatusNotFound:
			return ErrNotFound
		}
		return nil
	}
	switch {
	case cerrdefs.IsUnauthorized(err), cerrdefs.IsPermissionDenied(err):
		return ErrUnauthorized
	case cerrdefs.IsNotFound(err):
		return ErrNotFound
	}
	return nil
}
