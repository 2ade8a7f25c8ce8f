package imagestore

import (
	"context"
	"strings"

	"github.com/moby/moby/client"
)

// Use is a container, running or not, and the image that it was made from.
type Use struct {
	Container string // its name, or its ID if it has none
	// Images are the digests by which the engine names the image: its ID, and
	// on the containerd store also the manifest of the platform that runs.
	Images []string
}

// Uses lists all containers, the stopped ones too. Errors are *Error.
func (e *Engine) Uses(ctx context.Context) ([]Use, error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	result, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, e.fail(ctx, "list containers", "", err)
	}
	uses := make([]Use, 0, len(result.Items))
	for _, c := range result.Items {
		u := Use{Container: c.ID, Images: []string{c.ImageID}}
		if len(c.Names) > 0 {
			u.Container = strings.TrimPrefix(c.Names[0], "/")
		}
		// Since API 1.48, on the containerd store alone.
		if c.ImageManifestDescriptor != nil {
			u.Images = append(u.Images, c.ImageManifestDescriptor.Digest.String())
		}
		uses = append(uses, u)
	}
	return uses, nil
}
