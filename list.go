package pinion

import (
	"context"
	"errors"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Built is an image that Pinion built and that is still in the image store.
type Built struct {
	Name      string `json:"name"`
	Reference string `json:"reference"`
	ImageID   string `json:"image_id"`
	// Revision is the commit, or empty; then Tree is a working tree's digest.
	Revision string `json:"revision"`
	Tree     string `json:"tree,omitempty"`
	Platform string `json:"platform"`
	// Size in bytes, as the store counts.
	Size    int64     `json:"size"`
	BuiltAt time.Time `json:"built_at"`
}

// List returns what Pinion built into the current image store, newest first. Records whose image
// has gone, or whose name now means another image, are left out. A failure is an [*Error].
func (o *Orchestrator) List(ctx context.Context) ([]Built, error) {
	list, err := o.list(ctx)
	if err != nil {
		return nil, fail(ctx, "", err)
	}
	return list, nil
}

func (o *Orchestrator) list(ctx context.Context) ([]Built, error) {
	st, err := o.store()
	if err != nil {
		return nil, storeError(err)
	}
	dir, err := o.records()
	if err != nil {
		return nil, err
	}
	recs, err := dir.All()
	if err != nil {
		return nil, err
	}
	var list []Built
	for _, rec := range recs {
		if rec.Store != st.Endpoint() {
			continue
		}
		img, err := st.Inspect(ctx, rec.Reference)
		switch {
		case errors.Is(err, imagestore.ErrNotFound), err == nil && img.ID != rec.ImageID:
			continue
		case err != nil:
			return nil, storeError(err)
		}
		list = append(list, Built{
			Name: rec.Name, Reference: rec.Reference, ImageID: rec.ImageID, Revision: rec.Revision,
			Tree:     rec.Tree,
			Platform: rec.Platform, Size: img.Size, BuiltAt: rec.BuiltAt,
		})
	}
	return list, nil
}
