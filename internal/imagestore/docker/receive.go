package docker

import (
	"context"
	"slices"
	"sync"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Receive brings an image into the store under a temporary name and leaves out the layers that the
// store has. If the image already exists, Receive sends nothing. An engine that may be able to
// reach this process pulls the image from it. If that fails, and for all other engines, the image
// is loaded. If the store lacks a layer that was left out, all layers are sent. Layers may be
// opened concurrently. Errors are *imagestore.Error, ErrUnavailable among them.
func (e *Engine) Receive(ctx context.Context, t imagestore.Transfer) (imagestore.Result, error) {
	ref := t.Image.Reference
	img, err := imagestore.NewSource(t.Image)
	if err != nil {
		return imagestore.Result{}, &imagestore.Error{Op: "load", Origin: imagestore.OriginDocker,
			Ref: ref, Err: err}
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	kind := e.askKind(asking)
	if got, ok := e.present(ctx, img); ok {
		got.Name = e.keepOneTemporary(ctx, got.Image, ref, "")
		return counted(got, img), nil
	}
	l := &loading{engine: e, image: img, ref: ref, platform: t.Platform, onBytes: t.OnBytes,
		earlier: t.Earlier}
	if l.kind, err = kind(); err != nil {
		return imagestore.Result{}, err
	}
	got, err := l.bring(ctx)
	if err == nil {
		e.keepOneTemporary(ctx, got.Image, ref, got.Name)
	}
	got.Kind = l.kind
	return got, err
}

// askKind asks the engine in the background. The returned function waits for the answer.
func (e *Engine) askKind(ctx context.Context) func() (imagestore.Kind, error) {
	var info imagestore.EngineInfo
	var err error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		info, err = e.Info(ctx)
	}()
	return func() (imagestore.Kind, error) {
		<-answered
		return info.Kind, err
	}
}

// present looks for the image under the IDs that it has in either kind of store. A store knows only
// its own ID, so a match also shows its kind.
func (e *Engine) present(ctx context.Context, img imagestore.Source) (imagestore.Result, bool) {
	kinds := []imagestore.Kind{imagestore.KindClassic, imagestore.KindContainerd}
	there := make([]bool, len(kinds))
	images := make([]imagestore.Image, len(kinds))
	var asking sync.WaitGroup
	for i, kind := range kinds {
		asking.Go(func() { images[i], there[i] = e.has(ctx, img.ID(kind)) })
	}
	asking.Wait()
	i := slices.Index(there, true)
	if i < 0 {
		return imagestore.Result{}, false
	}
	return imagestore.Result{Image: images[i], Kind: kinds[i]}, true
}

// keepOneTemporary removes the temporary names for this reference that killed attempts left on the
// image. It keeps and returns one, which may be the image's last name: the given name, or any if
// that is empty.
func (e *Engine) keepOneTemporary(
	ctx context.Context, img imagestore.Image, ref, name string,
) string {
	for _, tag := range img.Tags {
		pulledFor, _ := CutLoopback(tag)
		switch {
		case tag == name, tag != ref && pulledFor != ref:
		case name == "":
			name = tag
		default:
			e.forget(ctx, tag)
		}
	}
	return name
}
