package retention

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// inspectAtOnce bounds the concurrent inspections.
const inspectAtOnce = 8

// List returns the recorded images that are in the store under their own names, newest first. Those
// that the store cannot describe are left out, and unreadable has their errors.
func List(ctx context.Context, c Config) (list []Image, unreadable []error, err error) {
	recs, err := c.Dir.All()
	if err != nil {
		return nil, nil, err
	}
	recs = slices.DeleteFunc(recs, func(rec cache.Record) bool {
		return rec.Store != c.Store.Endpoint() || rec.Isolation != c.Isolation
	})
	type found struct {
		image imagestore.Image
		err   error
	}
	all, err := forEach(ctx, recs, func(ctx context.Context, rec cache.Record) (found, error) {
		img, err := c.Store.Inspect(ctx, rec.Reference)
		if errors.Is(err, imagestore.ErrNotFound) || errors.Is(err, imagestore.ErrUnreadable) {
			return found{err: err}, nil
		}
		return found{image: img}, err
	})
	if err != nil {
		return nil, nil, imagestore.StoreFailure(err)
	}
	for i, f := range all {
		switch {
		case errors.Is(f.err, imagestore.ErrUnreadable):
			unreadable = append(unreadable, f.err)
		case f.err == nil && f.image.ID == recs[i].ImageID:
			item := imageOf(recs[i])
			item.Size = f.image.Size
			list = append(list, item)
		}
	}
	return list, unreadable, nil
}

// forEach calls a function for each record, a few at a time, and returns the results in the order
// of the records. It ends with the first error.
func forEach[T any](
	ctx context.Context, recs []cache.Record,
	do func(context.Context, cache.Record) (T, error),
) ([]T, error) {
	results := make([]T, len(recs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inspectAtOnce)
	for i, rec := range recs {
		g.Go(func() (err error) {
			results[i], err = do(ctx, rec)
			return err
		})
	}
	return results, g.Wait()
}
