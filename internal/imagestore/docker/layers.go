package docker

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	"golang.org/x/sync/errgroup"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// inspectAtOnce bounds the concurrent requests to an engine.
const inspectAtOnce = 8

// stored returns the image's layers that the store has.
//
// The classic store keeps a layer by its chain ID, and takes an archive without the layer's file if
// it has that chain. The containerd store needs the blob itself, and its API does not list blobs.
// So only the layers of earlier images count that the store still has.
func (l *loading) stored(ctx context.Context) (map[digest.Digest]bool, error) {
	stored := map[digest.Digest]bool{}
	if l.kind == imagestore.KindContainerd {
		for _, set := range l.earlier {
			if _, ok := l.engine.has(ctx, set.ImageID); !ok {
				continue
			}
			for _, layer := range set.Layers {
				stored[digest.Digest(layer)] = true
			}
		}
		return stored, nil
	}
	chains, err := l.engine.chains(ctx)
	if err != nil {
		return nil, err
	}
	for i, chain := range identity.ChainIDs(slices.Clone(l.image.DiffIDs)) {
		if chains[chain] {
			stored[l.image.Parsed.Layers[i].Digest] = true
		}
	}
	return stored, nil
}

// chains returns the chain IDs of all layers of all images in the store.
func (e *Engine) chains(ctx context.Context) (map[digest.Digest]bool, error) {
	list, err := e.listAll(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	chains := map[digest.Digest]bool{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inspectAtOnce)
	for _, img := range list {
		g.Go(func() error {
			ctx, cancel := brief(ctx)
			defer cancel()
			got, err := e.api.ImageInspect(ctx, img.ID)
			if err != nil {
				err = e.fail(ctx, "inspect", img.ID, err)
				if errors.Is(err, imagestore.ErrNotFound) {
					return nil // removed since the list was made: its layers do not count
				}
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for _, c := range chainIDs(got.RootFS.Layers) {
				chains[c] = true
			}
			return nil
		})
	}
	return chains, g.Wait()
}

func chainIDs(layers []string) []digest.Digest {
	ids := make([]digest.Digest, len(layers))
	for i, l := range layers {
		ids[i] = digest.Digest(l)
	}
	return identity.ChainIDs(ids)
}

func (e *Engine) listAll(ctx context.Context) ([]image.Summary, error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	list, err := e.api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, e.fail(ctx, "list", "", err)
	}
	return list.Items, nil
}
