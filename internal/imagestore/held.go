package imagestore

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
)

// inspectAtOnce bounds the questions that are under way to an engine.
const inspectAtOnce = 8

// held is the image's layers that the store has.
//
// The classic store keeps a layer by its chain ID, and takes an archive without the layer's file if
// it has that chain. The containerd store wants the blob itself, and nobody can ask it for one: so
// only what it was given with an image that it still has counts.
func (e *Engine) held(ctx context.Context, kind Kind, img parsed,
	given []Given) (map[digest.Digest]bool, error) {
	held := map[digest.Digest]bool{}
	if kind == KindContainerd {
		for _, g := range given {
			if _, ok := e.has(ctx, g.ID); !ok {
				continue
			}
			for _, l := range g.Layers {
				held[digest.Digest(l)] = true
			}
		}
		return held, nil
	}
	chains, err := e.chains(ctx)
	if err != nil {
		return nil, err
	}
	for i, chain := range identity.ChainIDs(slices.Clone(img.diffIDs)) {
		if chains[chain] {
			held[img.manifest.Layers[i].Digest] = true
		}
	}
	return held, nil
}

// chains are the chain IDs of all layers of all images that the store has.
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
				// Removed in the meantime: its layers do not count.
				if failed := e.fail(ctx, "inspect", img.ID, err); !errors.Is(failed, ErrNotFound) {
					return failed
				}
				return nil
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
