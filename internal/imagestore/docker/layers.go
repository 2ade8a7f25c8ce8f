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
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// inspectAtOnce bounds the concurrent requests to an engine.
const inspectAtOnce = 8

// mostEarlier bounds the earlier images that an engine is asked for before a load.
const mostEarlier = 64

// stored returns the image's layers that the store has.
//
// The classic store keeps a layer by its chain ID, and takes an archive without the layer's file if
// it has that chain. The containerd store needs the blob itself, and its API does not list blobs.
// So only the layers of earlier images count that the store still has.
func (l *loading) stored(ctx context.Context) (map[digest.Digest]bool, error) {
	if l.kind == imagestore.KindContainerd {
		return l.storedBlobs(ctx), nil
	}
	stored := map[digest.Digest]bool{}
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

// storedBlobs returns the layers that the image shares with earlier images that the store still
// has. It asks for images, a few at a time, until all layers are found, and for no more than
// mostEarlier.
func (l *loading) storedBlobs(ctx context.Context) map[digest.Digest]bool {
	stored := map[digest.Digest]bool{}
	if l.earlier == nil {
		return stored
	}
	sets := l.earlier()
	for asked := 0; asked < mostEarlier; {
		var some []imagestore.LayerSet
		some, sets = l.nextSets(sets, stored)
		if len(some) == 0 {
			return stored
		}
		asked += len(some)
		there := make([]bool, len(some))
		var asking sync.WaitGroup
		for i, set := range some {
			asking.Go(func() { _, there[i] = l.engine.has(ctx, set.ImageID) })
		}
		asking.Wait()
		for i, set := range some {
			for _, layer := range set.Layers {
				stored[digest.Digest(layer)] = stored[digest.Digest(layer)] || there[i]
			}
		}
	}
	return stored
}

// nextSets returns the next few sets with a layer of the image that is not yet known to be stored,
// and the sets after them.
func (l *loading) nextSets(
	sets []imagestore.LayerSet, stored map[digest.Digest]bool,
) (some, rest []imagestore.LayerSet) {
	for i, set := range sets {
		if len(some) == inspectAtOnce {
			return some, sets[i:]
		}
		if slices.ContainsFunc(l.image.Parsed.Layers, func(d ocispec.Descriptor) bool {
			return !stored[d.Digest] && slices.Contains(set.Layers, d.Digest.String())
		}) {
			some = append(some, set)
		}
	}
	return some, nil
}

// chains returns the chain IDs of all layers of all images in the store that it can describe.
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
			got, err := e.inspect(ctx, img.ID)
			if errors.Is(err, imagestore.ErrNotFound) || errors.Is(err, imagestore.ErrUnreadable) {
				return nil // removed since the list was made, or corrupt: its layers do not count
			}
			if err != nil {
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
	ctx, cancel := patient(ctx)
	defer cancel()
	list, err := e.api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, e.fail(ctx, "list", "", err)
	}
	return list.Items, nil
}
