package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	cerrdefs "github.com/containerd/errdefs"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
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
	if ctx.Err() != nil || brokenConnection(err) || noteOf(ctx) != nil || isTooDeep(err) {
		return e.fail(ctx, op, ref, err)
	}
	err = login.secrets.Error(errtext.Plain(err))
	return &imagestore.Error{Op: op, Origin: imagestore.OriginRegistry, Ref: ref,
		Err: login.explain(refusalOf(err, ref), ref, err)}
}

// explain gives a registry's answer its kind and its situation.
func (l login) explain(r refusal, ref string, err error) error {
	situation, detail := r.situation, l.host
	switch {
	case situation == errdef.RegistryImageMissing:
		detail = ref
	case errors.Is(r.cause, imagestore.ErrUnavailable):
		err = fmt.Errorf("%s does not answer the engine: %w", l.host, err)
	}
	if r.cause != nil {
		err = fmt.Errorf("%w: %w", r.cause, err)
	}
	if situation == "" {
		return err
	}
	return errdef.In(situation, detail, err)
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
