package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Push makes the engine send the image with this ID to a registry under ref, with the credentials
// that the Docker config has for it. It returns the digest of the manifest that the registry shows
// under ref afterwards, which is the one that the engine sent, and on the containerd store the ID.
// If the registry refuses the push and has this very image under ref, Push returns its digest too.
//
// The engine pushes by name, so the image has the name ref during the push. Afterwards ref names
// what it named before, unless another process moved it. The caller prevents concurrent pushes of
// one ref. progress is that of Pull.
//
// Errors are *imagestore.Error. From the registry (Origin says so): ErrUnauthorized, ErrNotFound,
// ErrUnavailable, ErrTagFixed, and an *imagestore.TakenError if the registry has another image
// under ref. From the engine: ErrNotFound (no such image), ErrUnavailable.
func (e *Engine) Push(
	ctx context.Context, id, ref string, progress func(imagestore.Progress),
) (string, error) {
	ctx = withNote(ctx)
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", e.fail(ctx, "push", ref, err)
	}
	login, err := e.login(reference.Domain(named))
	if err != nil {
		return "", &imagestore.Error{Op: "push", Origin: imagestore.OriginRegistry, Ref: ref,
			Err: err}
	}
	restore, err := e.lend(ctx, id, ref)
	if err != nil {
		return "", err
	}
	defer restore()
	sent, err := e.push(ctx, ref, login.orNone(), newReport(progress).see)
	if err != nil {
		return e.afterRefusal(ctx, id, named, login,
			e.registryFailure(ctx, "push", ref, login, err))
	}
	shown, err := e.shown(ctx, ref, login)
	if err != nil {
		return "", e.registryFailure(ctx, "push", ref, login, err)
	}
	return shown.String(), e.checkPushed(ctx, id, ref, sent, shown)
}

// shown returns the digest that the registry shows to the engine under ref.
func (e *Engine) shown(ctx context.Context, ref string, l login) (digest.Digest, error) {
	got, err := e.api.DistributionInspect(ctx, ref,
		client.DistributionInspectOptions{EncodedRegistryAuth: l.header})
	return got.Descriptor.Digest, err
}

// lend gives the image a name until restore is called.
func (e *Engine) lend(ctx context.Context, id, ref string) (restore func(), err error) {
	before, err := e.Inspect(ctx, ref)
	if err != nil && !errors.Is(err, imagestore.ErrNotFound) {
		return nil, err
	}
	if before.ID == id {
		return func() {}, nil
	}
	if err := e.Tag(ctx, id, ref); err != nil {
		return nil, err
	}
	return func() {
		ctx := context.WithoutCancel(ctx)
		if now, err := e.Inspect(ctx, ref); err != nil || now.ID != id {
			return // another process moved it
		}
		if before.ID != "" {
			_ = e.Tag(ctx, before.ID, ref)
			return
		}
		_ = e.Untag(ctx, ref) // at worst a name stays that `docker push` would have left
	}, nil
}

func (e *Engine) push(
	ctx context.Context, ref, header string, see func(message),
) (sent digest.Digest, err error) {
	resp, err := e.api.ImagePush(ctx, ref, client.ImagePushOptions{RegistryAuth: header})
	if err != nil {
		return "", err
	}
	defer resp.Close()
	err = readStream(resp, func(m message) {
		see(m)
		// An engine with a classic store reports the manifest that it made (moby,
		// daemon/internal/distribution, push_v2.go).
		var aux struct{ Digest digest.Digest }
		if m.Aux != nil && json.Unmarshal(*m.Aux, &aux) == nil && aux.Digest != "" {
			sent = aux.Digest
		}
	})
	return sent, err
}

// checkPushed returns an error unless the engine and the registry show this image.
func (e *Engine) checkPushed(ctx context.Context, id, ref string, sent, shown digest.Digest) error {
	info, err := e.Info(ctx)
	if err != nil {
		return err
	}
	named, err := e.Inspect(ctx, ref)
	if err != nil {
		return err
	}
	if info.Kind == imagestore.KindContainerd && sent == "" {
		sent = digest.Digest(id) // the image is pushed as it is
	}
	switch {
	case named.ID != id:
		err = fmt.Errorf("another process moved the name to %s during the push", named.ID)
	case sent.Validate() != nil:
		err = errors.New("the engine did not say what it pushed")
	case info.Kind == imagestore.KindContainerd && sent.String() != id:
		err = fmt.Errorf("the engine pushed %s where %s was asked for", sent, id)
	case shown != sent:
		return &imagestore.Error{Op: "push", Origin: imagestore.OriginRegistry, Ref: ref,
			Err: fmt.Errorf("the registry shows %s where %s was pushed; another push may have "+
				"replaced it", shown, sent)}
	default:
		return nil
	}
	return e.fail(ctx, "push", ref, err)
}

// orNone is the header for requests that require one, such as the push of engines before 23.
func (l login) orNone() string {
	if l.header != "" {
		return l.header
	}
	value, _ := authconfig.Encode(registry.AuthConfig{}) // an empty struct always marshals
	return value
}
