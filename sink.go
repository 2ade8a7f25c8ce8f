package pinion

import (
	"context"
	"encoding/json"
	"io"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// sink adapts a store to what a builder delivers into.
type sink struct {
	store    store
	platform string
	given    []imagestore.LayerSet
	// received is nil if nothing came by Receive.
	received *imagestore.Result
	// layers of the image that was received; they stand in its record, so that the next image may
	// leave them out.
	layers []string
}

func (j *job) sink() *sink {
	return &sink{store: j.store, platform: j.recipe.Platform, given: j.given()}
}

// given is what the records say of the blobs in this store. The store is asked whether it still has
// the images.
func (j *job) given() (given []imagestore.LayerSet) {
	dir, err := j.o.records()
	if err != nil {
		return nil
	}
	recs, err := dir.All()
	if err != nil {
		return nil
	}
	for _, r := range recs {
		if r.Store == j.store.Endpoint() && len(r.Layers) > 0 {
			given = append(given, imagestore.LayerSet{ImageID: r.ImageID, Layers: r.Layers})
		}
	}
	return given
}

func (s *sink) Receive(ctx context.Context, image buildkit.Solved,
	onBytes func(int)) (buildkit.Delivery, error) {
	got, err := s.store.Receive(ctx, imagestore.Transfer{Image: image, Platform: s.platform,
		Earlier: s.given, OnBytes: onBytes})
	if err != nil {
		return buildkit.Delivery{}, err
	}
	s.received, s.layers = &got, layersOf(image)
	return got.Delivery, nil
}

func (s *sink) Load(ctx context.Context, archive io.Reader) error {
	return s.store.Load(ctx, archive, s.platform)
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
