package verify

import (
	"context"
	"encoding/json"
	"io"
	"slices"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

// Arrival is one image on its way into a store, under the recipe's temporary name. It is the
// [buildkit.Sink] of the build; afterwards Adopt verifies the image, or Discard removes the name.
type Arrival struct {
	store   *imagestore.Facts
	records Records
	recipe  recipe.Recipe
	owner   string
	// received is nil if the builder put the image into the store itself.
	received *imagestore.Result
	// layers are the digests of the received image's layers.
	layers []string
}

// NewArrival prepares the arrival of the recipe's image. The owner is part of the temporary name.
func NewArrival(store *imagestore.Facts, records Records, r recipe.Recipe, owner string) *Arrival {
	return &Arrival{store: store, records: records, recipe: r, owner: owner}
}

// earlier returns what the records say about blobs in the store, those of the recipe's line first
// and the newest first. The store itself checks whether it still has the images.
func (a *Arrival) earlier() (sets []imagestore.LayerSet) {
	dir, err := a.records()
	if err != nil {
		return nil
	}
	recs, err := dir.All()
	if err != nil {
		return nil
	}
	line, store := a.recipe.Line(), a.store.Store.Endpoint()
	slices.SortStableFunc(recs, func(a, b cache.Record) int {
		switch {
		case (a.Line == line) == (b.Line == line):
			return 0
		case a.Line == line:
			return -1
		}
		return 1
	})
	for _, r := range recs {
		if r.Store == store && len(r.Layers) > 0 {
			sets = append(sets, imagestore.LayerSet{ImageID: r.ImageID, Layers: r.Layers})
		}
	}
	return sets
}

// Name returns the temporary name.
func (a *Arrival) Name() string { return a.recipe.Temporary(a.owner) }

// Receive implements [buildkit.Sink].
func (a *Arrival) Receive(
	ctx context.Context, image buildkit.Solved, onBytes func(int),
) (buildkit.Delivery, error) {
	got, err := a.store.Store.Receive(ctx, imagestore.Transfer{Image: image,
		Platform: a.recipe.Platform, Earlier: a.earlier, OnBytes: onBytes})
	if err != nil {
		return buildkit.Delivery{}, err
	}
	a.received, a.layers = &got, layersOf(image)
	return got.Delivery, nil
}

// Load implements [buildkit.Sink].
func (a *Arrival) Load(ctx context.Context, archive io.Reader) error {
	return a.store.Store.Load(ctx, archive, a.recipe.Platform)
}

func layersOf(image buildkit.Solved) (layers []string) {
	var manifest ocispecs.Manifest
	if json.Unmarshal(image.Manifest, &manifest) != nil {
		return nil
	}
	for _, l := range manifest.Layers {
		layers = append(layers, l.Digest.String())
	}
	return layers
}
