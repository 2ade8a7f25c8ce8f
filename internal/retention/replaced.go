package retention

import (
	"context"
	"errors"
	"math"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

const replacedReason = "replaced by a later build of the same recipe"

// findReplaced adds the images that later builds of the same recipe took the names from. In a
// folder there are none, since an image goes with its last name.
func (s *Survey) findReplaced(ctx context.Context, kind imagestore.Kind) error {
	recs, err := s.Dir.Replaced()
	if err != nil {
		return err
	}
	found, err := forEach(ctx, s.ofThisStore(recs, kind), s.inspectReplaced)
	if err != nil {
		return err
	}
	for _, h := range found {
		s.checkAway(h)
	}
	s.holdings = append(s.holdings, found...)
	return nil
}

// inspectReplaced returns what has become of an image that was replaced. An image that has a name
// is foreign: its name was given after the build.
func (s *Survey) inspectReplaced(ctx context.Context, rec cache.Record) (*holding, error) {
	h := &holding{key: rec.Key, record: rec, replaced: true, rank: math.MaxInt,
		Item: Item{Image: imageOf(rec)}}
	h.Reference = rec.ImageID
	r, ours := recipe.FromRecord(rec)
	h.family = r.Family()
	img, err := s.Store.Inspect(ctx, rec.ImageID)
	switch {
	case errors.Is(err, imagestore.ErrNotFound), err == nil && img.ID != rec.ImageID:
		h.state = missing
	case errors.Is(err, imagestore.ErrUnreadable):
		h.state, h.oddity = foreign, err.Error()
	case err != nil:
		return nil, err
	case !ours || len(img.Tags) > 0 || img.Labels[recipe.LabelRecipe] != "sha256:"+rec.Key:
		h.state, h.oddity = foreign, "it has a name again"
	}
	h.Size, h.shares = img.Size, img.Parts
	return h, nil
}

// removeReplaced looks again, and removes the image by its ID.
func (r remover) removeReplaced(ctx context.Context, h *holding, reason string) error {
	now, err := r.inspectReplaced(ctx, h.record)
	if err != nil {
		return err
	}
	r.checkAway(now)
	h.state, h.oddity, h.Size = now.state, now.oddity, now.Size
	store, ok := r.Store.(imagestore.Remover)
	switch {
	case h.state == missing:
		h.Action, h.Reason = Forgotten, missingReason
		r.forget(h)
		return nil
	case h.state == foreign || !ok:
		h.keep(h.oddity)
		return nil
	case r.dryRun:
		h.Action, h.Reason, h.Reclaimed = Removed, reason, r.free(h)
		return nil
	}
	err = store.Remove(ctx, h.ID)
	oddity, failed := refusal(err)
	switch {
	case failed != nil:
		return failed
	case oddity != "":
		h.keep(oddity)
		h.Refused = isRefused(err)
		return nil
	}
	h.Action, h.Reason, h.Reclaimed = Removed, reason, r.free(h)
	r.forget(h)
	return nil
}
