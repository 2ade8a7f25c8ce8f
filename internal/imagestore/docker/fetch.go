package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/stall"
)

// manifestsAPI is the first API version whose inspect shows whether all of an image's blobs exist
// (moby, api/docs/CHANGELOG.md, v1.48).
const manifestsAPI = "1.48"

var (
	// errUnpackedOnly: the store does not fetch the blob of a layer that it has unpacked already.
	// Without the blob the image can be run, but neither saved nor pushed.
	errUnpackedOnly = errors.New("the engine had layers of the image unpacked only")
	// errNoRegistry: this process cannot listen. That says nothing about the engine, so the cause
	// is not wrapped: as a network's error it would be taken for the engine's.
	errNoRegistry = errors.New("this process cannot serve the image")
	// errSource: a layer could not be read. Another way into the store does not help.
	errSource = errors.New("the image cannot be read")
)

// pullable reports whether the engine may be able to pull the image from this process, and whether
// that is worth a try. A containerd store fetches several layers at a time and unpacks them in the
// meantime. A classic store gains little.
func (l *loading) pullable(ctx context.Context) bool {
	if l.kind != imagestore.KindContainerd || !near(l.engine.endpoint) {
		return false
	}
	version, err := l.engine.apiVersion(ctx)
	return err == nil && versions.GreaterThanOrEqualTo(version, manifestsAPI)
}

// pull makes the engine pull the image from a registry that this process serves for the time of the
// pull. After success and after errUnpackedOnly the image has the registry's name for it; after any
// other error nothing has that name. The digests are those of the layers that were sent.
func (l *loading) pull(ctx context.Context) (imagestore.Result, map[digest.Digest]bool, error) {
	pulling, guard := stall.Watch(ctx, l.engine.stallAfter,
		fmt.Errorf("nothing moved for %s", l.engine.stallAfter))
	defer guard.Release()
	pulling, cancel := context.WithCancelCause(pulling)
	defer cancel(nil)
	from, err := serveOne(pulling, l.image, l.ref, l.onBytes, guard.Moved, func(err error) {
		cancel(fmt.Errorf("%w: %w", errSource, err))
	})
	if err != nil {
		return imagestore.Result{}, nil, fmt.Errorf("%w: %s", errNoRegistry, err.Error())
	}
	err = l.pullFrom(pulling, from, guard.Moved)
	cancel(nil)
	from.close()
	got := imagestore.Result{Name: from.name, Delivery: buildkit.Delivery{Via: buildkit.ViaPull,
		Bytes: from.bytes, LayersSent: len(from.served)}}
	if err == nil {
		got.Image, err = l.pulled(ctx, from.name)
	}
	if err != nil && !errors.Is(err, errUnpackedOnly) {
		l.engine.forget(ctx, from.name)
	}
	return counted(got, l.image), from.served, err
}

func (l *loading) pullFrom(ctx context.Context, from *oneImage, moved func()) error {
	login, err := from.login()
	if err != nil {
		return err
	}
	opts := client.ImagePullOptions{RegistryAuth: login.Header}
	if opts.Platforms, err = l.engine.pullPlatforms(ctx, l.platform); err != nil {
		return err
	}
	ctx = withNote(ctx)
	err = l.engine.pull(ctx, from.name, opts, newReport(func(imagestore.Progress) { moved() }).see)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if proxy := noteOf(ctx); proxy != nil {
		// Its kind is not passed on: that this request fails does not say that a load would.
		return errors.New(proxy.error(l.engine.endpoint).Error())
	}
	return login.Clean(err)
}

// pulled describes the pulled image, and returns an error if it is another image.
func (l *loading) pulled(ctx context.Context, name string) (imagestore.Image, error) {
	img, whole, err := l.engine.inspectWhole(ctx, name)
	if err != nil {
		return imagestore.Image{}, err
	}
	if want := l.image.ID(imagestore.KindContainerd); img.ID != want {
		return imagestore.Image{}, fmt.Errorf("the engine pulled %s instead of %s", img.ID, want)
	}
	if !whole {
		return img, errUnpackedOnly
	}
	return img, nil
}

// inspectWhole also reports whether the store has all of the image's blobs, as far as the API shows
// it. The unpacked layers are enough to run an image.
func (e *Engine) inspectWhole(ctx context.Context, ref string) (imagestore.Image, bool, error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	version, err := e.apiVersion(ctx)
	if err != nil {
		return imagestore.Image{}, false, e.fail(ctx, "inspect", ref, err)
	}
	var opts []client.ImageInspectOption
	if versions.GreaterThanOrEqualTo(version, manifestsAPI) {
		opts = append(opts, client.ImageInspectWithManifests(true))
	}
	got, err := e.api.ImageInspect(ctx, ref, opts...)
	if err != nil {
		return imagestore.Image{}, false, e.fail(ctx, "inspect", ref, err)
	}
	for _, m := range got.Manifests {
		if !m.Available {
			return fromInspect(got.InspectResponse), false, nil
		}
	}
	return fromInspect(got.InspectResponse), true, nil
}

// has reports whether the store has the image and all of its blobs.
func (e *Engine) has(ctx context.Context, id string) (imagestore.Image, bool) {
	img, whole, err := e.inspectWhole(ctx, id)
	return img, err == nil && whole && img.ID == id
}

// forget removes a name that a pull left, even if ctx has ended.
func (e *Engine) forget(ctx context.Context, name string) {
	// CutLoopback finds a name that cannot be removed now.
	_ = e.Untag(context.WithoutCancel(ctx), name)
}
