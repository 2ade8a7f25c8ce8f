package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	cerrdefs "github.com/containerd/errdefs"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

// login is the credential of a pull or a push.
type login struct {
	host    string
	header  string // of X-Registry-Auth, "" for none
	secrets *redact.Redactor
	// user and secret are for a registry that is asked without the engine. The secret is a
	// password, or without a user an identity token.
	user, secret string
}

func (e *Engine) login(host string) (login, error) {
	auth, err := e.auth.forHost(host)
	if err != nil {
		return login{}, errdef.In(errdef.CredentialHelperFailed, host,
			fmt.Errorf("%w: %w", imagestore.ErrUnauthorized, err))
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
	in := login{host: host, header: value, secrets: redact.New(secrets...),
		user: auth.Username, secret: auth.Password}
	if auth.IdentityToken != "" {
		in.user, in.secret = "", auth.IdentityToken
	}
	return in, nil
}

// registryFailure returns an error that shows whether the engine or the registry failed. It removes
// credentials, which a registry may have echoed.
func (e *Engine) registryFailure(
	ctx context.Context, op, ref string, login login, err error,
) error {
	if ctx.Err() != nil || brokenConnection(err) {
		return e.fail(ctx, op, ref, err)
	}
	err = login.secrets.Error(err)
	switch cause := registryCause(err, ref); {
	case errors.Is(cause, imagestore.ErrUnauthorized):
		err = errdef.In(errdef.RegistryUnauthorized, login.host,
			fmt.Errorf("%w: %w", imagestore.ErrUnauthorized, err))
	case errors.Is(cause, imagestore.ErrNotFound):
		err = errdef.In(errdef.RegistryImageMissing, ref,
			fmt.Errorf("%w: %w", imagestore.ErrNotFound, err))
	case errors.Is(cause, imagestore.ErrUnavailable):
		err = errdef.In(errdef.RegistryUnreachable, login.host,
			fmt.Errorf("%w: %s does not answer the engine: %w", imagestore.ErrUnavailable,
				login.host, err))
	}
	return &imagestore.Error{Op: op, Origin: imagestore.OriginRegistry, Ref: ref, Err: err}
}

// registryCause classifies an engine's report of a failed pull or push. It returns nil if it
// cannot. An engine answers 404 for "denied" and 500 for a refused login and for a dead network
// alike, so the text decides before the status does. The words are the error codes of the OCI
// distribution spec and their descriptions, and what Go's net and Docker's registry client say.
func registryCause(err error, ref string) error {
	// A repository may be called "denied".
	text := strings.ToLower(strings.ReplaceAll(err.Error(), ref, ""))
	for _, known := range []struct {
		cause error
		words []string
	}{
		{imagestore.ErrUnauthorized, []string{"unauthorized", "denied", "no basic auth credentials",
			"authentication required",
			"authorization failed", "403 forbidden", "incorrect username or password"}},
		{imagestore.ErrNotFound, []string{"manifest unknown", "name unknown", "not found",
			"no matching manifest"}},
		{imagestore.ErrUnavailable, []string{"dial tcp", "connection refused", "connection reset",
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
			return imagestore.ErrUnauthorized
		case http.StatusNotFound:
			return imagestore.ErrNotFound
		}
		return nil
	}
	switch {
	case cerrdefs.IsUnauthorized(err), cerrdefs.IsPermissionDenied(err):
		return imagestore.ErrUnauthorized
	case cerrdefs.IsNotFound(err):
		return imagestore.ErrNotFound
	}
	return nil
}
