package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/distribution/reference"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// Push makes the engine send an image to a registry, with the credentials that the Docker config
// has for it. It returns the digest of the manifest that the registry shows under the name
// afterwards, which is the one that was sent, and on the containerd store the ID. If the registry
// refuses the push and has this very image under the name, Push returns its digest too. If a proxy
// refuses the engine's requests for their size, this process sends the image in pieces.
//
// The engine pushes by name, so the image has the name during the push. Afterwards the name means
// what it meant before, unless another process moved it. The caller prevents concurrent pushes
// under one name. progress is that of Pull.
//
// Errors are *imagestore.Error. From the registry (Origin says so): ErrUnauthorized, ErrNotFound,
// ErrUnavailable, ErrTagFixed, and an *imagestore.TakenError if the registry has another image
// under the name. From the engine: ErrNotFound (no such image), ErrUnavailable.
func (e *Engine) Push(
	ctx context.Context, p imagestore.Push, progress func(imagestore.Progress),
) (string, error) {
	ctx = withNote(ctx)
	named, err := reference.ParseNormalizedNamed(p.Ref)
	if err != nil {
		return "", e.fail(ctx, "push", p.Ref, err)
	}
	login, err := e.logins.For(reference.Domain(named))
	if err != nil {
		return "", &imagestore.Error{Op: "push", Origin: imagestore.OriginRegistry, Ref: p.Ref,
			Err: err}
	}
	info, err := e.Info(ctx)
	if err != nil {
		return "", err
	}
	if info.Kind == imagestore.KindClassic {
		if has, ok := e.nameThere(ctx, p, login); ok {
			return has, nil
		}
	}
	if progress == nil {
		progress = func(imagestore.Progress) {}
	}
	var sent int64
	has, err := e.pushAs(ctx, info.Kind, p, login, func(now imagestore.Progress) {
		sent = now.Bytes
		progress(now)
	})
	if at, _ := errdef.SituationOf(err); at == errdef.RegistryBodyLimit {
		return e.upload(ctx, info.Kind, p, login, func(now imagestore.Progress) {
			now.Bytes += sent
			progress(now)
		})
	}
	return has, err
}

func (e *Engine) pushAs(
	ctx context.Context, kind imagestore.Kind, p imagestore.Push, login registry.Login,
	progress func(imagestore.Progress),
) (string, error) {
	restore, err := e.lend(ctx, p.ID, p.Ref)
	if err != nil {
		return "", err
	}
	defer restore()
	sent, err := e.push(ctx, p.Ref, login.HeaderOrNone(), newReport(progress).see)
	if err != nil {
		return e.afterRefusal(ctx, p.ID, p.Ref, login,
			e.registryFailure(ctx, "push", p.Ref, login, err))
	}
	shown, err := e.shown(ctx, p.Ref, login)
	if err != nil {
		return "", e.registryFailure(ctx, "push", p.Ref, login, err)
	}
	return shown.String(), e.checkPushed(ctx, kind, p, sent, shown)
}

// shown returns the digest that the registry shows to the engine under ref.
func (e *Engine) shown(ctx context.Context, ref string, l registry.Login) (digest.Digest, error) {
	got, err := e.api.DistributionInspect(ctx, ref,
		client.DistributionInspectOptions{EncodedRegistryAuth: l.Header})
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
func (e *Engine) checkPushed(
	ctx context.Context, kind imagestore.Kind, p imagestore.Push, sent, shown digest.Digest,
) error {
	id, ref := p.ID, p.Ref
	named, err := e.Inspect(ctx, ref)
	if err != nil {
		return err
	}
	if kind == imagestore.KindContainerd && sent == "" {
		sent = digest.Digest(id) // the image is pushed as it is
	}
	switch {
	case named.ID != id:
		err = fmt.Errorf("another process moved the name to %s during the push", named.ID)
	case sent.Validate() != nil:
		err = errors.New("the engine did not say what it pushed")
	case kind == imagestore.KindContainerd && sent.String() != id:
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
