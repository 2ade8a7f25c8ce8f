package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

const (
	missingReason = "the image is no longer in the image store"
	rebuiltReason = "it was built again in the meantime"
	busyReason    = "a build is using it"
)

// remover removes images one by one, each under its key's lock.
type remover struct {
	*Survey
	dryRun bool
	all    bool // images that have lost their names go as well
}

// remove removes an image, or the record of one that is missing, unless a container, a build or the
// engine needs it. The error is the store's, or ctx's.
func (r remover) remove(ctx context.Context, h *holding, reason string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if name := r.user(h); name != "" && h.state != missing {
		h.keep("the container " + name + " uses it")
		return nil
	}
	unlock, oddity, err := r.lock(ctx, h.key)
	switch {
	case err != nil:
		return err
	case oddity != "":
		h.keep(oddity)
		h.Refused = oddity != busyReason
		return nil
	}
	defer unlock()
	// A removal that has begun is completed: each request has a bound of its own.
	return imagestore.StoreFailure(r.removeLocked(context.WithoutCancel(ctx), h, reason))
}

// lock takes the lock of a key, without waiting for it, or says why it cannot. The error is ctx's.
func (s *Survey) lock(ctx context.Context, key string) (unlock func(), oddity string, err error) {
	unlock, err = s.Dir.Lock(ctx, key, 0)
	switch {
	case err == nil:
		return unlock, "", nil
	case errors.Is(err, cache.ErrLockTimeout):
		return nil, busyReason, nil
	case ctx.Err() != nil:
		return nil, "", ctx.Err()
	}
	return nil, fmt.Sprintf("it cannot be locked: %v", err), nil
}

// refusal sorts the error of a removal: an engine that does not answer is an error, and what it
// says of one image is why that image stays. An image that is gone is neither.
func refusal(err error) (oddity string, failed error) {
	switch {
	case err == nil, errors.Is(err, imagestore.ErrNotFound):
		return "", nil
	case errors.Is(err, imagestore.ErrUnavailable):
		return "", err
	}
	return fmt.Sprintf("the engine refuses: %v", err), nil
}

// isRefused reports whether the store did not allow a removal for another reason than that the
// image has come into use.
func isRefused(err error) bool { return !errdefs.IsConflict(err) }

// removeLocked looks again, since no build can interfere under the lock, and removes.
func (r remover) removeLocked(ctx context.Context, h *holding, reason string) error {
	if h.replaced {
		return r.removeReplaced(ctx, h, reason)
	}
	if err := r.lookAgain(ctx, h); err != nil || h.state == foreign {
		return err
	}
	switch {
	case h.state == missing:
		h.Action, h.Reason = Forgotten, missingReason
		r.dropRemains(ctx, h)
		r.forget(h)
		return nil
	case r.dryRun:
		h.Action, h.Reason = Removed, reason
		if h.onlyHas(r.names(h)...) {
			h.Reclaimed = r.free(h)
		}
		return nil
	}
	return r.untag(ctx, h, reason)
}

// lookAgain updates what is known about the image, and keeps the image if that has changed.
func (r remover) lookAgain(ctx context.Context, h *holding) error {
	if h.isTemporary() {
		img, err := r.Store.Inspect(ctx, h.Reference)
		switch {
		case errors.Is(err, imagestore.ErrNotFound):
			h.state = missing
		case errors.Is(err, imagestore.ErrUnreadable):
			h.state = foreign
			h.keep(err.Error())
		case err != nil:
			return err
		case r.temporary(img, h.Reference) == nil || img.ID != h.ID:
			h.state = foreign
			h.keep(h.Reference + " names another image now")
		}
		return nil
	}
	if !r.dryRun && !r.isRecorded(h.record) {
		h.state = foreign
		h.keep(rebuiltReason)
		return nil
	}
	now, err := r.inspect(ctx, h.record)
	if err != nil {
		return err
	}
	r.checkAway(now)
	switch {
	case h.state == missing && (now.state == intact || now.state == lost):
		now.state, now.oddity = foreign, rebuiltReason
	case now.state == lost && !r.all:
		now.state = foreign
	}
	h.state, h.oddity, h.Size = now.state, now.oddity, now.Size
	h.tags, h.shares = now.tags, now.shares
	if h.state == foreign {
		h.keep(h.oddity)
	}
	return nil
}

// dropRemains frees what a folder still has of an image that lost a blob: its names lead nowhere,
// and keep the other blobs. An engine has no such names.
func (r remover) dropRemains(ctx context.Context, h *holding) {
	if _, isFolder := r.Store.(imagestore.Folder); r.dryRun || !isFolder {
		return
	}
	for _, name := range r.names(h) {
		if _, err := r.Store.Inspect(ctx, name); errors.Is(err, imagestore.ErrNotFound) {
			_ = r.Store.Untag(ctx, name) // best effort: there may be no such name
		}
	}
}

// isRecorded reports whether the record is still there. Another one in its place would be lost with
// it.
func (r remover) isRecorded(rec cache.Record) bool {
	recs, _, err := r.Dir.Find(rec.Line, rec.Store, rec.Key)
	return err == nil && slices.ContainsFunc(recs, func(other cache.Record) bool {
		return other.StoreKind == rec.StoreKind && other.ImageID == rec.ImageID
	})
}

// names returns the names that Pinion may have given the image.
func (r remover) names(h *holding) []string {
	if h.isTemporary() {
		return []string{h.Reference}
	}
	of, _ := recipe.FromRecord(h.record)
	names := []string{h.Reference, of.TemporaryOf(h.key, r.Owner)}
	if latest := of.Latest(); latest != "" {
		names = append(names, latest)
	}
	return names
}

// untag removes the names and then the record. The pinned name goes last: as long as it is there,
// the image and its record are whole, and a call that ends early leaves them to the next one.
func (r remover) untag(ctx context.Context, h *holding, reason string) error {
	wasLatest, err := r.untagLatest(ctx, h)
	if err != nil {
		return err
	}
	if h.state == lost {
		err = removeNameless(ctx, r.Store, h.ID)
	} else {
		err = r.Store.Untag(ctx, h.Reference)
	}
	if oddity, failed := refusal(err); oddity != "" || failed != nil {
		if wasLatest {
			r.restoreLatest(ctx, h)
		}
		if failed == nil {
			h.keep(oddity)
			h.Refused = isRefused(err)
		}
		return failed
	}
	h.Action, h.Reason = Removed, reason
	if _, err := r.Store.Inspect(ctx, h.ID); errors.Is(err, imagestore.ErrNotFound) {
		h.Reclaimed = r.free(h)
	} else {
		h.Reason += "; the image stays under another name"
	}
	r.forget(h)
	return nil
}

// removeNameless removes an image that no name leads to. It is no error if the image has a name, or
// if the store is no engine: a folder has no such images.
func removeNameless(ctx context.Context, store imagestore.Store, id string) error {
	img, err := store.Inspect(ctx, id)
	engine, ok := store.(imagestore.Remover)
	if err != nil || !ok || len(img.Tags) > 0 {
		return err
	}
	return engine.Remove(ctx, id)
}

// untagLatest removes the latest name if it means this image.
func (r remover) untagLatest(ctx context.Context, h *holding) (removed bool, err error) {
	if h.isTemporary() {
		return false, nil
	}
	of, _ := recipe.FromRecord(h.record)
	latest := of.Latest()
	if latest == "" {
		return false, nil
	}
	img, err := r.Store.Inspect(ctx, latest)
	if err == nil && img.ID == h.ID {
		err = r.Store.Untag(ctx, latest)
		removed = err == nil
	}
	if errors.Is(err, imagestore.ErrUnavailable) {
		return false, err
	}
	// If the engine refuses this name, it refuses to remove the image too, or the image stays under
	// this name.
	return removed, nil
}

// restoreLatest gives an image that stays its latest name again, unless a build has used the name
// in the meantime. The name is a convenience, so this is best effort.
func (r remover) restoreLatest(ctx context.Context, h *holding) {
	of, _ := recipe.FromRecord(h.record)
	if _, err := r.Store.Inspect(ctx, of.Latest()); errors.Is(err, imagestore.ErrNotFound) {
		_ = r.Store.Tag(ctx, h.ID, of.Latest())
	}
}

// forget removes the record. A record that stays is removed by the next call, since its image is
// gone.
func (r remover) forget(h *holding) {
	if r.dryRun || h.isTemporary() {
		return
	}
	forget := r.Dir.Forget
	if h.replaced {
		forget = r.Dir.ForgetReplaced
	}
	if err := forget(h.record); err != nil {
		h.Reason += fmt.Sprintf("; its record stays: %v", err)
	}
}
