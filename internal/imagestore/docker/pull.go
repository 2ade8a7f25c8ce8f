package docker

import (
	"context"
	"fmt"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// pullPlatformAPI is the first API version whose pull takes a platform without
// the engine's experimental mode (moby, api/docs/CHANGELOG.md, v1.41).
const pullPlatformAPI = "1.41"

// Pull makes the engine fetch ref for a platform ("" for its own), with the credentials that the
// Docker config has for the registry. progress may be nil. It is called on Pull's goroutine.
//
// Errors are *imagestore.Error. From the registry (Origin says so): ErrUnauthorized,
// imagestore.ErrNotFound, imagestore.ErrUnavailable. From the engine: ErrUnavailable.
func (e *Engine) Pull(
	ctx context.Context, ref, platform string, progress func(imagestore.Progress),
) error {
	ctx = withNote(ctx)
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return e.fail(ctx, "pull", ref, err)
	}
	login, err := e.logins.For(reference.Domain(named))
	if err != nil {
		return &imagestore.Error{Op: "pull", Origin: imagestore.OriginRegistry, Ref: ref, Err: err}
	}
	opts := client.ImagePullOptions{RegistryAuth: login.Header}
	if opts.Platforms, err = e.pullPlatforms(ctx, platform); err != nil {
		return e.fail(ctx, "pull", ref, err)
	}
	if err := e.pull(ctx, ref, opts, newReport(progress).see); err != nil {
		return e.registryFailure(ctx, "pull", ref, login, err)
	}
	if platform != "" && opts.Platforms == nil {
		return e.checkPulled(ctx, ref, platform)
	}
	return nil
}

func (e *Engine) pull(
	ctx context.Context, ref string, opts client.ImagePullOptions, see func(message),
) error {
	resp, err := e.api.ImagePull(ctx, ref, opts)
	if err != nil {
		return err
	}
	defer resp.Close()
	return readStream(resp, see)
}

// pullPlatforms is empty for an engine that refuses a platform.
func (e *Engine) pullPlatforms(ctx context.Context, platform string) ([]ocispec.Platform, error) {
	if platform == "" {
		return nil, nil
	}
	want, err := platforms.Parse(platform)
	if err != nil {
		return nil, err
	}
	version, err := e.apiVersion(ctx)
	if err != nil || versions.LessThan(version, pullPlatformAPI) {
		return nil, err
	}
	return []ocispec.Platform{want}, nil
}

// checkPulled returns an error if an engine that chose the platform chose another one.
func (e *Engine) checkPulled(ctx context.Context, ref, platform string) error {
	img, err := e.Inspect(ctx, ref)
	if err != nil {
		return err
	}
	want, err := platforms.Parse(platform)
	if err != nil {
		return e.fail(ctx, "pull", ref, err)
	}
	if img.Platform != platforms.Format(want) {
		return e.fail(ctx, "pull", ref,
			fmt.Errorf("the engine pulled %s instead of %s; engines before 20.10 take no platform",
				img.Platform, platform))
	}
	return nil
}
