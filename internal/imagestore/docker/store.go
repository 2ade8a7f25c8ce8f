package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// inspectPlatformAPI is the first API version whose inspect takes a platform
// (moby, api/docs/CHANGELOG.md, v1.49).
const inspectPlatformAPI = "1.49"

// Inspect describes the image that a tag or an ID names. Of a multi-platform image on the
// containerd store it describes the variant that the engine would run. Errors are
// *imagestore.Error, ErrNotFound, ErrUnreadable and ErrUnavailable among them.
func (e *Engine) Inspect(ctx context.Context, ref string) (imagestore.Image, error) {
	result, err := e.inspect(ctx, ref)
	if err != nil {
		return imagestore.Image{}, err
	}
	return fromInspect(result.InspectResponse), nil
}

func (e *Engine) inspect(
	ctx context.Context, ref string, opts ...client.ImageInspectOption,
) (client.ImageInspectResult, error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	result, err := e.api.ImageInspect(ctx, ref, opts...)
	if err != nil {
		return result, e.inspectFailure(ctx, ref, err)
	}
	return result, nil
}

// inspectFailure is fail for an inspection. An engine that fails to describe an image (status 500,
// for instance "layer does not exist") and answers otherwise lacks a part of that image alone. A
// gateway before an engine that is down gives no other answer either.
func (e *Engine) inspectFailure(ctx context.Context, ref string, err error) error {
	if cerrdefs.IsInternal(err) {
		if _, silent := e.api.Ping(ctx, client.PingOptions{}); silent != nil {
			err = fmt.Errorf("%w: %w", imagestore.ErrUnavailable, err)
		} else {
			err = fmt.Errorf("%w: %w", imagestore.ErrUnreadable, err)
		}
	}
	return e.fail(ctx, "inspect", ref, err)
}

// InspectPlatform is Inspect for one platform of a multi-platform image if the engine supports that
// (API 1.49). Otherwise it is Inspect, and the caller compares Image.Platform. If the store has no
// such variant, the error is ErrNotFound.
func (e *Engine) InspectPlatform(
	ctx context.Context, ref, platform string,
) (imagestore.Image, error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	want, err := platforms.Parse(platform)
	if err != nil {
		return imagestore.Image{}, e.fail(ctx, "inspect", ref, err)
	}
	version, err := e.apiVersion(ctx)
	if err != nil {
		return imagestore.Image{}, e.fail(ctx, "inspect", ref, err)
	}
	if versions.LessThan(version, inspectPlatformAPI) {
		return e.Inspect(ctx, ref)
	}
	result, err := e.inspect(ctx, ref, client.ImageInspectWithPlatform(&want))
	if err != nil {
		return imagestore.Image{}, err
	}
	return fromInspect(result.InspectResponse), nil
}

// List describes the images that carry a label, with any value, or all images for "". Platform is
// empty, since the engine does not report it. Errors are *imagestore.Error.
func (e *Engine) List(ctx context.Context, labelKey string) ([]imagestore.Image, error) {
	ctx, cancel := patient(ctx)
	defer cancel()
	var opts client.ImageListOptions
	if labelKey != "" {
		opts.Filters = make(client.Filters).Add("label", labelKey)
	}
	result, err := e.api.ImageList(ctx, opts)
	if err != nil {
		return nil, e.fail(ctx, "list", "", err)
	}
	images := make([]imagestore.Image, 0, len(result.Items))
	for _, item := range result.Items {
		images = append(images, fromSummary(item))
	}
	return images, nil
}

// Tag makes ref name the image with this ID, and replaces an earlier meaning. It takes an ID and
// not a name, so that the image that was verified gets the tag. Errors are *imagestore.Error,
// ErrNotFound among them.
func (e *Engine) Tag(ctx context.Context, id, ref string) error {
	ctx, cancel := brief(ctx)
	defer cancel()
	if _, err := digest.Parse(id); err != nil {
		return e.fail(ctx, "tag", ref, fmt.Errorf("image ID %q: %w", id, err))
	}
	if _, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: ref}); err != nil {
		return e.fail(ctx, "tag", ref, err)
	}
	return nil
}

// Untag removes one name, unforced. The image goes with its last name unless a container uses it.
// Only a name with a tag is accepted, because the engine would take an ID, or a name that looks
// like one, for the image itself. Errors are *imagestore.Error, ErrNotFound among them.
func (e *Engine) Untag(ctx context.Context, ref string) error {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return e.fail(ctx, "untag", ref, err)
	}
	_, isID := digest.Parse(ref)
	if _, tagged := named.(reference.NamedTagged); !tagged || isID == nil {
		return e.fail(ctx, "untag", ref, fmt.Errorf("%q is not a name with a tag", ref))
	}
	return e.remove(ctx, "untag", ref)
}

func (e *Engine) remove(ctx context.Context, op, ref string) error {
	ctx, cancel := patient(ctx)
	defer cancel()
	if _, err := e.api.ImageRemove(ctx, ref,
		client.ImageRemoveOptions{PruneChildren: true}); err != nil {
		return e.fail(ctx, op, ref, err)
	}
	return nil
}

// Remove removes an image that has no name, unforced. It refuses an ID of an image that has one,
// and what is no ID. An engine cannot remove an image on the condition that it has no name, so a
// name that another program gives in the instant before the removal is lost. Errors are
// *imagestore.Error.
func (e *Engine) Remove(ctx context.Context, id string) error {
	if _, err := digest.Parse(id); err != nil {
		return e.fail(ctx, "remove", id, fmt.Errorf("image ID %q: %w", id, err))
	}
	img, err := e.Inspect(ctx, id)
	if err != nil {
		return err
	}
	if len(img.Tags) > 0 || img.ID != id {
		return e.fail(ctx, "remove", id, fmt.Errorf("the image has the name %q", img.Tags))
	}
	return e.remove(ctx, "remove", id)
}

func fromInspect(in image.InspectResponse) imagestore.Image {
	img := imagestore.Image{
		ID:       in.ID,
		Tags:     realTags(in.RepoTags),
		Platform: imagestore.FormatPlatform(in.Os, in.Architecture, in.Variant),
		Size:     in.Size,
	}
	img.Layers = len(in.RootFS.Layers)
	if in.Descriptor != nil { // the classic store has none
		img.Kind = imagestore.KindContainerd
	}
	if in.Config != nil {
		img.Labels = in.Config.Labels
		img.Shape = shapeOf(in)
	}
	// An unreadable time is the image's own fault and does no harm.
	img.Created, _ = time.Parse(time.RFC3339Nano, in.Created)
	return img
}

// shapeOf returns a digest of what containers of the image run, and of the number of its layers.
func shapeOf(in image.InspectResponse) string {
	config, err := json.Marshal(in.Config)
	if err != nil || len(in.RootFS.Layers) == 0 {
		return ""
	}
	return digest.FromString(fmt.Sprintf("%d %s", len(in.RootFS.Layers), config)).String()
}

func fromSummary(in image.Summary) imagestore.Image {
	return imagestore.Image{ID: in.ID, Tags: realTags(in.RepoTags), Labels: in.Labels,
		Size:    in.Size,
		Created: time.Unix(in.Created, 0).UTC()}
}

// realTags leaves out the placeholder that old engines list for an image without a tag.
func realTags(tags []string) []string {
	var names []string
	for _, tag := range tags {
		if tag != "<none>:<none>" {
			names = append(names, tag)
		}
	}
	return names
}
