package docker

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// errIncomplete: the engine took an image with attestations and lacks a part of it.
var errIncomplete = errors.New("the engine has not kept all parts of the image")

// loading is one image on its way into the engine.
type loading struct {
	engine   *Engine
	kind     imagestore.Kind
	image    imagestore.Source
	ref      string
	platform string
	earlier  func() []imagestore.LayerSet // may be nil
	onBytes  func(int)
	// broken is the source's failure. Sending more does not help.
	broken error
}

// counted completes the counts of a result: the layers that were not sent were there.
func counted(r imagestore.Result, img imagestore.Source) imagestore.Result {
	r.LayersReused = len(img.Layers()) - r.LayersSent
	r.Method = buildkit.MethodDelta
	if r.LayersReused == 0 {
		r.Method = buildkit.MethodFull
	}
	return r
}

// bring moves an image that is not there into the store.
func (l *loading) bring(ctx context.Context) (imagestore.Result, error) {
	if !l.pullable(ctx) {
		return l.deliver(ctx, nil)
	}
	pulled, sent, err := l.pull(ctx)
	switch {
	case err == nil:
		return pulled, nil
	case ctx.Err() == nil && errors.Is(err, errSource):
		return pulled, &imagestore.Error{Op: "pull", Origin: imagestore.OriginDocker, Ref: l.ref,
			Err: err}
	case ctx.Err() != nil, brokenConnection(err), errors.Is(err, imagestore.ErrUnavailable):
		return pulled, l.engine.fail(ctx, "pull", l.ref, err)
	case errors.Is(err, errUnpackedOnly):
		// The name keeps what was pulled until the rest is there.
		defer l.engine.forget(ctx, pulled.Name)
	default:
		sent = nil // the engine may drop the layers of an image that is not there
	}
	got, loadErr := l.deliver(ctx, sent)
	got.Bytes += pulled.Bytes
	got.Reason = strings.TrimSuffix("not pulled by the engine: "+err.Error()+"; "+got.Reason, "; ")
	got.LayersSent += len(sent)
	return counted(got, l.image), loadErr
}

// deliver loads the image without the layers that the store has. If the store turns out to lack one
// of them, deliver loads the image with all layers. came are the layers that the store received
// just before, so it has them in any case.
func (l *loading) deliver(
	ctx context.Context, came map[digest.Digest]bool,
) (imagestore.Result, error) {
	skip, err := l.stored(ctx)
	if err != nil {
		return imagestore.Result{}, err
	}
	maps.Copy(skip, came)
	partial := slices.ContainsFunc(l.image.Parsed.Layers, func(d ocispec.Descriptor) bool {
		return skip[d.Digest]
	})
	got, err := l.load(ctx, skip)
	if err == nil || !partial || l.broken != nil || ctx.Err() != nil ||
		errors.Is(err, imagestore.ErrUnavailable) {
		return got, err
	}
	// The store refused the archive, so it lacks a layer. It may have left the name behind.
	_ = l.engine.Untag(ctx, l.ref)
	wasted, reason := got.Bytes, err.Error()
	got, err = l.load(ctx, nil)
	got.Bytes += wasted
	got.Reason = reason
	return got, err
}

// load loads the image without the layers in skip.
func (l *loading) load(
	ctx context.Context, skip map[digest.Digest]bool,
) (imagestore.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	a := &archive{w: w, image: l.image, ref: l.ref, skip: skip, onBytes: l.onBytes}
	done := make(chan error, 1)
	go func() {
		err := a.write(ctx)
		_ = w.CloseWithError(err) // never fails; nil is the end of the archive
		done <- err
	}()
	err := l.engine.Load(ctx, r, l.platformToLoad())
	var img imagestore.Image
	if err == nil {
		img, err = l.inspect(ctx)
	}
	_ = r.Close()
	cancel()
	if wrote := <-done; wrote != nil && a.unread {
		l.broken = wrote
	}
	got := imagestore.Result{Image: img, Delivery: buildkit.Delivery{Via: buildkit.ViaLoad,
		Bytes: a.bytes, LayersSent: a.layersSent}}
	if err == nil {
		got.Name = l.ref
	}
	return counted(got, l.image), err
}

// platformToLoad is empty for an index: an engine that is given a platform keeps only what is for
// that platform, and an attestation is for none.
func (l *loading) platformToLoad() string {
	if l.image.Attested() {
		return ""
	}
	return l.platform
}

// inspect describes the image that was loaded. An index is loaded without a platform, so the engine
// does not report a missing part, and inspect looks for it.
func (l *loading) inspect(ctx context.Context) (imagestore.Image, error) {
	if !l.image.Attested() {
		return l.engine.Inspect(ctx, l.ref)
	}
	img, whole, err := l.engine.inspectWhole(ctx, l.ref)
	if err == nil && !whole {
		err = &imagestore.Error{Op: "load", Origin: imagestore.OriginDocker, Ref: l.ref,
			Err: errIncomplete}
	}
	return img, err
}
