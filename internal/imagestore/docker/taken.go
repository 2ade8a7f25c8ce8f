package docker

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// afterRefusal looks at what the registry has under the name that it refused to an engine. An
// engine with a classic store sends the manifest each time, and a registry whose tags are fixed
// refuses it even if nothing would change. It returns the digest if the image is there, and
// otherwise the refusal, within a [imagestore.TakenError] if another image is there.
func (e *Engine) afterRefusal(
	ctx context.Context, id, ref string, l registry.Login, refused error,
) (string, error) {
	failed, ok := errors.AsType[*imagestore.Error](refused)
	if !ok || failed.Origin != imagestore.OriginRegistry || !refusalOf(failed, ref).OfName {
		return "", refused
	}
	ctx, cancel := brief(ctx)
	defer cancel()
	has, err := e.shown(ctx, ref, l)
	if err != nil {
		return "", refused // nothing is there, or nobody knows
	}
	if has.String() == id {
		return id, nil
	}
	// What cannot be read counts as another image. The engine has no such request, so this process
	// asks the registry.
	found, _ := readImage(ctx, ref, has, l)
	if found.Config.String() == id {
		return has.String(), nil
	}
	return "", registry.Taken(failed, has, found.Labels)
}

func readImage(
	ctx context.Context, ref string, d digest.Digest, l registry.Login,
) (registry.Found, error) {
	repository, err := registry.Open(ref, l)
	if err != nil {
		return registry.Found{}, err
	}
	defer repository.Close()
	return repository.Describe(ctx, d)
}
