package docker

import (
	"context"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// lookWithin bounds a look into a registry that only saves work.
const lookWithin = 10 * time.Second

// nameThere looks whether the registry has the image of a classic store already, and reports
// whether it has it under the name now. An engine with such a store knows only the layers that it
// pushed itself, and would send those again that this process sent. Any failure counts as no: the
// engine, which may reach the registry in another way, pushes then.
func (e *Engine) nameThere(
	ctx context.Context, p imagestore.Push, login registry.Login,
) (has string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	repository, err := registry.Open(p.Ref, login)
	if err != nil {
		return "", false
	}
	defer repository.Close()
	if shown, err := repository.Head(ctx); err == nil {
		found, err := repository.Describe(ctx, shown.Digest)
		if err == nil && found.Config.String() == p.ID {
			return shown.Digest.String(), true
		}
	}
	if p.Known == "" {
		return "", false
	}
	found, err := repository.Describe(ctx, digest.Digest(p.Known))
	if err != nil || found.Config.String() != p.ID {
		return "", false
	}
	return p.Known, repository.Name(ctx, found.Root) == nil
}

// upload sends an image from this process, in pieces, as it is in the archive of `docker save`.
// Whatever is missing at the registry has to come out of the engine once more, so the archive is
// read twice.
func (e *Engine) upload(
	ctx context.Context, kind imagestore.Kind, p imagestore.Push, login registry.Login,
	progress func(imagestore.Progress),
) (string, error) {
	repository, err := registry.Open(p.Ref, login)
	if err != nil {
		return "", err
	}
	defer repository.Close()
	s := saved{engine: e, id: digest.Digest(p.ID), moved: func() {
		progress(imagestore.Progress{})
	}}
	// An older engine writes the archive to its disk before it sends it.
	progress(imagestore.Progress{Status: "Reading the image, to push it in pieces",
		Unpacking: true})
	var content registry.Content
	if kind == imagestore.KindContainerd {
		content, err = s.blobs(ctx)
	} else {
		content, err = s.layers(ctx)
	}
	if err != nil {
		return "", e.fail(ctx, "push", p.Ref, err)
	}
	shown, err := repository.Push(ctx, content, progress)
	if at, ok := errors.AsType[*imagestore.Error](err); ok && ctx.Err() == nil {
		return "", at
	}
	if err != nil {
		return "", e.fail(ctx, "push", p.Ref, err)
	}
	return shown.String(), nil
}
