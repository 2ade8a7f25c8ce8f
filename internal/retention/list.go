package retention

import (
	"context"
	"errors"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// List returns the recorded images that are in the store under their own names, newest first.
func List(ctx context.Context, c Config) (list []Image, err error) {
	recs, err := c.Dir.All()
	if err != nil {
		return nil, err
	}
	for _, rec := range recs {
		if rec.Store != c.Store.Endpoint() || rec.Isolation != c.Isolation {
			continue
		}
		img, err := c.Store.Inspect(ctx, rec.Reference)
		switch {
		case errors.Is(err, imagestore.ErrNotFound), err == nil && img.ID != rec.ImageID:
			continue
		case err != nil:
			return nil, imagestore.StoreFailure(err)
		}
		item := imageOf(rec)
		item.Size = img.Size
		list = append(list, item)
	}
	return list, nil
}
