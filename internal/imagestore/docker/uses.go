package docker

import (
	"context"
	"strings"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Uses lists all containers, including the stopped ones. Errors are *imagestore.Error.
func (e *Engine) Uses(ctx context.Context) ([]imagestore.Use, error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	result, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, e.fail(ctx, "list containers", "", err)
	}
	uses := make([]imagestore.Use, 0, len(result.Items))
	for _, c := range result.Items {
		u := imagestore.Use{Container: c.ID, Images: []string{c.ImageID}}
		if len(c.Names) > 0 {
			u.Container = strings.TrimPrefix(c.Names[0], "/")
		}
		// Only the containerd store reports it, since API 1.48.
		if c.ImageManifestDescriptor != nil {
			u.Images = append(u.Images, c.ImageManifestDescriptor.Digest.String())
		}
		uses = append(uses, u)
	}
	return uses, nil
}
