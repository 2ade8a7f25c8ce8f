package docker

import (
	"context"
	"fmt"
	"io"

	"github.com/containerd/platforms"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// loadPlatformAPI is the first API version whose load takes a platform (moby,
// api/docs/CHANGELOG.md, v1.48). With a platform a missing layer is an error. Without one a
// containerd store accepts the archive and leaves a broken tag.
const loadPlatformAPI = "1.48"

// Load streams a docker or OCI archive into the store. An error in the answer is an error, even if
// the engine answered 200. If archive fails, the error wraps its error. platform may be "".
//
// Load returns as soon as ctx ends or the engine answers, even if a Read of archive is still under
// way. A caller with a pipe closes its reading end afterwards. If the engine goes away, Load
// notices it when archive gives the next bytes. Errors are *imagestore.Error, ErrUnavailable among
// them.
func (e *Engine) Load(ctx context.Context, archive io.Reader, platform string) error {
	ctx = withNote(ctx)
	opts, err := e.loadOptions(ctx, platform)
	if err != nil {
		return e.fail(ctx, "load", "", err)
	}
	source := imagestore.NewUpload(ctx, archive)
	err = e.load(ctx, source.Body, opts)
	if broken := source.End(); broken != nil && ctx.Err() == nil {
		return &imagestore.Error{Op: "load", Origin: imagestore.OriginDocker,
			Err: fmt.Errorf("reading the archive: %w", broken)}
	}
	if err != nil {
		return e.fail(ctx, "load", "", err)
	}
	return nil
}

func (e *Engine) load(ctx context.Context, archive io.Reader, opts []client.ImageLoadOption) error {
	resp, err := e.api.ImageLoad(ctx, archive, opts...)
	if err != nil {
		return err
	}
	defer resp.Close()
	return readStream(resp, func(message) {})
}

func (e *Engine) loadOptions(
	ctx context.Context, platform string,
) ([]client.ImageLoadOption, error) {
	opts := []client.ImageLoadOption{client.ImageLoadWithQuiet(true)}
	if platform == "" {
		return opts, nil
	}
	want, err := platforms.Parse(platform)
	if err != nil {
		return nil, err
	}
	version, err := e.apiVersion(ctx)
	if err != nil {
		return nil, err
	}
	if versions.GreaterThanOrEqualTo(version, loadPlatformAPI) {
		opts = append(opts, client.ImageLoadWithPlatforms(want))
	}
	return opts, nil
}
