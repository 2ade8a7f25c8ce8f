package imagestore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
	"github.com/opencontainers/go-digest"
)

// manifestsAPI is the first API version whose inspect tells whether an image's blobs are all there
// (moby, api/docs/CHANGELOG.md, v1.48).
const manifestsAPI = "1.48"

var (
	// errUnpackedOnly: of a layer that it has unpacked already the store does not fetch the blob,
	// and without that the image can be run and neither saved nor pushed.
	errUnpackedOnly = errors.New("the engine had layers of the image unpacked only")
	// errSource: a layer could not be read, which another way into the store does not mend.
	errSource = errors.New("the image cannot be read")
)

// pullable says whether it is worth a try to have the engine pull the image from this process. A
// containerd store fetches what it lacks, several layers at a time, and unpacks meanwhile. A
// classic store gains little by it.
func (l *loading) pullable(ctx context.Context, kind Kind) bool {
	if kind != KindContainerd || !near(l.engine.endpoint) {
		return false
	}
	version, err := l.engine.apiVersion(ctx)
	return err == nil && versions.GreaterThanOrEqualTo(version, manifestsAPI)
}

// pull has the engine pull the image from a registry that this process is for as long as that
// takes. After success, and errUnpackedOnly, the image has the registry's name for it; else nothing
// has. The digests are those of the layers that were sent.
func (l *loading) pull(ctx context.Context) (Received, map[digest.Digest]bool, error) {
	pulling, moved, release := guardStall(ctx, l.engine.stallAfter)
	defer release()
	pulling, cancel := context.WithCancelCause(pulling)
	defer cancel(nil)
	from, err := serveOne(pulling, l.image, l.ref, l.onBytes, moved, func(err error) {
		cancel(fmt.Errorf("%w: %w", errSource, err))
	})
	if err != nil {
		return Received{}, nil, err
	}
	err = l.pullFrom(pulling, from, moved)
	cancel(nil)
	from.close()
	got := Received{Name: from.name, Bytes: from.bytes, Sent: len(from.served), Via: ViaPull}
	if err == nil {
		got.Image, err = l.pulled(ctx, from.name)
	}
	if err != nil && !errors.Is(err, errUnpackedOnly) {
		l.engine.forget(ctx, from.name)
	}
	return got.of(l.image), from.served, err
}

func (l *loading) pullFrom(ctx context.Context, from *oneImage, moved func()) error {
	login, err := from.login()
	if err != nil {
		return err
	}
	opts := client.ImagePullOptions{RegistryAuth: login.header}
	if opts.Platforms, err = l.engine.pullPlatforms(ctx, l.platform); err != nil {
		return err
	}
	err = l.engine.pull(ctx, from.name, opts, onChange(moved))
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return login.secrets.Error(err)
}

// onChange calls moved whenever a message says another thing than the one before it on the same
// layer. Engines repeat themselves ten times a second.
func onChange(moved func()) func(message) {
	last := map[string]string{}
	return func(m message) {
		now := m.Status
		if m.Progress != nil {
			now += strconv.FormatInt(m.Progress.Current, 10)
		}
		if last[m.ID] != now {
			last[m.ID] = now
			moved()
		}
	}
}

// pulled is the image that was, if it is the right one.
func (l *loading) pulled(ctx context.Context, name string) (Image, error) {
	img, whole, err := l.engine.inspectWhole(ctx, name)
	if err != nil {
		return Image{}, err
	}
	if want := l.image.id(KindContainerd); img.ID != want {
		return Image{}, fmt.Errorf("the engine pulled %s instead of %s", img.ID, want)
	}
	if !whole {
		return img, errUnpackedOnly
	}
	return img, nil
}

// inspectWhole also tells whether the store has all the image's blobs, as far as it can be asked.
// The unpacked layers are enough to run an image.
func (e *Engine) inspectWhole(ctx context.Context, ref string) (Image, bool, error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	version, err := e.apiVersion(ctx)
	if err != nil {
		return Image{}, false, e.fail(ctx, "inspect", ref, err)
	}
	var opts []client.ImageInspectOption
	if versions.GreaterThanOrEqualTo(version, manifestsAPI) {
		opts = append(opts, client.ImageInspectWithManifests(true))
	}
	got, err := e.api.ImageInspect(ctx, ref, opts...)
	if err != nil {
		return Image{}, false, e.fail(ctx, "inspect", ref, err)
	}
	for _, m := range got.Manifests {
		if !m.Available {
			return fromInspect(got.InspectResponse), false, nil
		}
	}
	return fromInspect(got.InspectResponse), true, nil
}

// has says that the store has the image and all its blobs.
func (e *Engine) has(ctx context.Context, id string) (Image, bool) {
	img, whole, err := e.inspectWhole(ctx, id)
	return img, err == nil && whole && img.ID == id
}

// forget removes a name that a pull left, also when the caller has gone.
func (e *Engine) forget(ctx context.Context, name string) {
	// Nothing to tell: what cannot be removed is found by CutLoopback later.
	_ = e.Untag(context.WithoutCancel(ctx), name)
}
