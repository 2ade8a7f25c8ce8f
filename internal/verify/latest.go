package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

// RestoreLatest gives the image of a hit the latest name if nothing has that name. It makes no
// request if this image has it. The name is a convenience: a failure is a warning. Call it after a
// hit.
func (p *Probe) RestoreLatest(ctx context.Context, r recipe.Recipe) (warnings []string) {
	latest := r.Latest()
	if latest == "" || slices.Contains(p.found.Tags, latest) {
		return nil
	}
	_, err := p.store.Inspect(ctx, latest)
	if errors.Is(err, imagestore.ErrNotFound) {
		err = p.store.Tag(ctx, p.found.ID, latest)
	}
	if err != nil {
		return []string{fmt.Sprintf("%s was not checked or made again: %v", latest, err)}
	}
	return nil
}
