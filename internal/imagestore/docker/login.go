package docker

import (
	"context"
	"errors"
	"net/http"

	cerrdefs "github.com/containerd/errdefs"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// registryFailure returns an error that shows whether the engine or the registry failed. It removes
// credentials, which a registry may have echoed.
func (e *Engine) registryFailure(
	ctx context.Context, op, ref string, login registry.Login, err error,
) error {
	if ctx.Err() != nil || brokenConnection(err) || noteOf(ctx) != nil || isTooDeep(err) {
		return e.fail(ctx, op, ref, err)
	}
	err = login.Clean(err)
	return &imagestore.Error{Op: op, Origin: imagestore.OriginRegistry, Ref: ref,
		Err: login.Explain(refusalOf(err, ref), ref, err)}
}

func refusalOf(err error, ref string) registry.Refusal {
	return registry.RefusalOf(err, statusOf(err), ref)
}

// statusOf returns the status of an engine's report that may be the registry's, or 0. An engine
// answers 500 for much that a registry does not.
func statusOf(err error) int {
	if inStream, ok := errors.AsType[*streamError](err); ok {
		switch inStream.code {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
			return inStream.code
		}
		return 0
	}
	switch {
	case cerrdefs.IsUnauthorized(err):
		return http.StatusUnauthorized
	case cerrdefs.IsPermissionDenied(err):
		return http.StatusForbidden
	case cerrdefs.IsNotFound(err):
		return http.StatusNotFound
	}
	return 0
}
