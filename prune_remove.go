package pinion

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

const (
	goneReason    = "the image is no longer in the image store"
	rebuiltReason = "it was built again meanwhile"
)

// remove removes an image, or the record of one that has gone, unless something speaks against it.
// The error is the store's, when it does not answer.
func (p *pruning) remove(ctx context.Context, h *holding, reason string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if name := p.user(h); name != "" && h.found == foundIntact {
		h.keep("the container " + name + " uses it")
		return nil
	}
	unlock, err := p.dir.Lock(ctx, h.key, 0)
	switch {
	case errors.Is(err, ErrLockTimeout):
		h.keep("a build is using it")
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		h.keep(fmt.Sprintf("it cannot be locked: %v", err))
		return nil
	}
	defer unlock()
	// What has been begun is ended: each request has a bound of its own.
	return storeError(p.locked(context.WithoutCancel(ctx), h, reason))
}

// locked looks again, now that no build can come in between, and removes.
func (p *pruning) locked(ctx context.Context, h *holding, reason string) error {
	if err := p.again(ctx, h); err != nil || h.found == foundOdd {
		return err
	}
	switch {
	case h.found == foundGone:
		h.Action, h.Reason = PruneForgotten, goneReason
		p.dropRemains(ctx, h)
		p.forget(h)
		return nil
	case p.opts.DryRun:
		h.Action, h.Reason = PruneRemoved, reason
		if h.last(p.names(h)...) {
			h.Reclaimed = h.Size
		}
		return nil
	}
	return p.untag(ctx, h, reason)
}

// again brings what is known of the image up to date, and keeps it if that is not what it was.
func (p *pruning) again(ctx context.Context, h *holding) error {
	if h.temporary() {
		img, err := p.store.Inspect(ctx, h.Reference)
		switch {
		case errors.Is(err, imagestore.ErrNotFound):
			h.found = foundGone
		case err != nil:
			return err
		case p.temporary(img, h.Reference) == nil || img.ID != h.ImageID:
			h.found = foundOdd
			h.keep(h.Reference + " names another image now")
		}
		return nil
	}
	if !p.opts.DryRun && !p.stillRecorded(h.record) {
		h.found = foundOdd
		h.keep(rebuiltReason)
		return nil
	}
	now, err := p.look(ctx, h.record)
	if err != nil {
		return err
	}
	if h.found == foundGone && now.found == foundIntact {
		now.found, now.odd = foundOdd, rebuiltReason
	}
	h.found, h.odd, h.Size, h.tags = now.found, now.odd, now.Size, now.tags
	if h.found == foundOdd {
		h.keep(h.odd)
	}
	return nil
}

// dropRemains frees what a folder still has of an image that has lost a blob: its names lead
// nowhere any more, and keep the other blobs. An engine has no such names.
func (p *pruning) dropRemains(ctx context.Context, h *holding) {
	if p.opts.DryRun || engineOf(p.store) != nil {
		return
	}
	for _, name := range p.names(h) {
		if _, err := p.store.Inspect(ctx, name); errors.Is(err, imagestore.ErrNotFound) {
			_ = p.store.Untag(ctx, name) // best effort: there may be no such name
		}
	}
}

// stillRecorded says that nobody has put another record in this one's place, which would be lost
// with it.
func (p *pruning) stillRecorded(rec cache.Record) bool {
	recs, _, err := p.dir.Records(rec.Line, rec.Store)
	return err == nil && slices.ContainsFunc(recs, func(r cache.Record) bool {
		return r.Key == rec.Key && r.StoreKind == rec.StoreKind && r.ImageID == rec.ImageID
	})
}

// names are those that Pinion may have given the image.
func (p *pruning) names(h *holding) []string {
	if h.temporary() {
		return []string{h.Reference}
	}
	r, _ := recorded(h.record)
	return []string{r.latest(), h.Reference, r.temporaryOf(h.key, p.owner)}
}

// untag takes the names away and then the record. The pinned name goes last: as long as it is
// there, the image and its record are whole, and whatever ends this here leaves it to the next
// call.
func (p *pruning) untag(ctx context.Context, h *holding, reason string) error {
	wasLatest, err := p.takeLatest(ctx, h)
	if err != nil {
		return err
	}
	err = p.store.Untag(ctx, h.Reference)
	if err != nil && !errors.Is(err, imagestore.ErrNotFound) {
		if wasLatest {
			p.giveLatestBack(ctx, h)
		}
		if errors.Is(err, imagestore.ErrUnavailable) {
			return err
		}
		h.keep(fmt.Sprintf("the engine refuses: %v", err))
		return nil
	}
	h.Action, h.Reason = PruneRemoved, reason
	if _, err := p.store.Inspect(ctx, h.ImageID); errors.Is(err, imagestore.ErrNotFound) {
		h.Reclaimed = h.Size
	} else {
		h.Reason += "; the image stays under another name"
	}
	p.forget(h)
	return nil
}

// takeLatest removes the name that people use by hand, if it means this very image.
func (p *pruning) takeLatest(ctx context.Context, h *holding) (taken bool, err error) {
	if h.temporary() {
		return false, nil
	}
	r, _ := recorded(h.record)
	img, err := p.store.Inspect(ctx, r.latest())
	if err == nil && img.ID == h.ImageID {
		err = p.store.Untag(ctx, r.latest())
		taken = err == nil
	}
	if errors.Is(err, imagestore.ErrUnavailable) {
		return false, err
	}
	// If the engine refuses this name, it refuses to remove the image too, or the image stays under
	// this name.
	return taken, nil
}

// giveLatestBack restores the name of an image that stays, unless a build has taken it meanwhile.
func (p *pruning) giveLatestBack(ctx context.Context, h *holding) {
	r, _ := recorded(h.record)
	if _, err := p.store.Inspect(ctx, r.latest()); errors.Is(err, imagestore.ErrNotFound) {
		// Best effort: it is a convenience.
		_ = p.store.Tag(ctx, h.ImageID, r.latest())
	}
}

// forget removes the record. One that stays is forgotten by the next call, since its image has
// gone.
func (p *pruning) forget(h *holding) {
	if p.opts.DryRun || h.temporary() {
		return
	}
	if err := p.dir.Forget(h.record); err != nil {
		h.Reason += fmt.Sprintf("; its record stays: %v", err)
	}
}
