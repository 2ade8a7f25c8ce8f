// Package verify is the only place where an image is believed. A hit is a record, an image ID,
// labels and a platform that all agree; an image that was delivered gets its own name only after
// the same comparison with what the builder reported.
//
// It does not guarantee that a name keeps its meaning afterwards, since every user of an engine can
// move a tag.
package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Probe looks for the image of a recipe. The recipe's commit may become known later: the history
// and the inspection of its newest image go by the recipe without the commit.
type Probe struct {
	store   imagestore.Store
	records Records
	history history
	early   *inspection      // nil if there is none
	found   imagestore.Image // of a hit
}

// Begin reads the history of the recipe. If early is true, it also starts to inspect the image that
// was requested last: usually the branch has not moved, and then a hit costs the slower of the two
// requests instead of both. The inspection ends with ctx.
func Begin(
	ctx context.Context, store imagestore.Store, records Records, r recipe.Recipe, early bool,
) *Probe {
	p := &Probe{store: store, records: records, history: openHistory(records, r, store.Endpoint())}
	if early && !p.history.isEmpty() {
		p.early = inspect(ctx, store, p.history.last.Reference)
	}
	return p
}

// First reports whether there is no record of a build of the recipe, for any commit.
func (p *Probe) First() bool { return p.history.isEmpty() }

// Dialect returns how the git server is asked, as far as it is remembered.
func (p *Probe) Dialect() resolver.Dialect { return p.history.dialect() }

// LearnDialect writes how the git server was asked into the record that the next look-up reads. It
// is best effort: if a build holds the lock of the record, the next hit tries again.
func (p *Probe) LearnDialect(ctx context.Context, d resolver.Dialect) {
	rec := p.history.last
	if p.First() || rec.Dialect == d.String() {
		return
	}
	dir, err := p.records()
	if err != nil {
		return
	}
	unlock, err := dir.Lock(ctx, rec.Key, 0)
	if err != nil {
		return
	}
	defer unlock()
	rec, _, ok := dir.Marked(rec.Line, rec.Store, rec.Mark())
	if !ok {
		return
	}
	rec.Dialect = d.String()
	_ = dir.Put(rec) // the next hit tries again
}

// Hit returns the record of the recipe's image, or the reason why there is no hit. The error is the
// store's, of kind [imagestore.ErrStore]. Call it once.
func (p *Probe) Hit(ctx context.Context, r recipe.Recipe) (cache.Record, Miss, error) {
	recs := p.history.of(r.Key())
	if len(recs) == 0 {
		return cache.Record{}, p.history.miss(), nil
	}
	img, err := p.inspect(ctx, r.Reference())
	if errors.Is(err, imagestore.ErrNotFound) {
		return p.retag(ctx, r, recs)
	}
	if errors.Is(err, imagestore.ErrUnreadable) {
		return cache.Record{}, Miss{CauseUnreadable, err.Error()}, nil
	}
	if err != nil {
		return cache.Record{}, Miss{}, imagestore.StoreFailure(err)
	}
	i := slices.IndexFunc(recs, func(rec cache.Record) bool { return rec.ImageID == img.ID })
	if i < 0 {
		return p.takeBack(ctx, r, recs, img)
	}
	if miss := mismatch(r, img); !miss.IsHit() {
		return cache.Record{}, miss, nil
	}
	p.found = img
	return recs[i], Miss{}, nil
}

// Hit is [Begin] and [Probe.Hit] for a recipe whose commit is known.
func Hit(
	ctx context.Context, store imagestore.Store, records Records, r recipe.Recipe,
) (cache.Record, Miss, error) {
	return Begin(ctx, store, records, r, false).Hit(ctx, r)
}

// Mark notes that the image of a hit is handed out, so that it is the last to be removed. isHead
// says that it is the image of the branch's head, which the next request then inspects early. Call
// it after a hit.
func (p *Probe) Mark(rec cache.Record, isHead bool) {
	p.history.mark(rec, isHead)
	if isHead {
		p.history.last = rec
	}
}

// MarkBuilt is [Probe.Mark] for an image that was built. The record has been written.
func MarkBuilt(dir *cache.Dir, rec cache.Record, isHead bool) {
	h := history{dir: dir, line: rec.Line, store: rec.Store, marks: dir.Marks(rec.Line, rec.Store)}
	h.mark(rec, isHead)
}

func (p *Probe) inspect(ctx context.Context, reference string) (imagestore.Image, error) {
	if p.early == nil || p.early.reference != reference {
		return p.store.Inspect(ctx, reference)
	}
	return p.early.wait()
}

// inspection is an inspection under way.
type inspection struct {
	reference string
	done      chan struct{}
	image     imagestore.Image
	err       error
}

func inspect(ctx context.Context, store imagestore.Store, reference string) *inspection {
	in := &inspection{reference: reference, done: make(chan struct{})}
	go func() {
		defer close(in.done)
		in.image, in.err = store.Inspect(ctx, reference)
	}()
	return in
}

func (in *inspection) wait() (imagestore.Image, error) {
	<-in.done
	return in.image, in.err
}

// takeBack gives the recorded image of a recipe its name if the name has been moved to another
// image of Pinion's since: of another user of the store, with records of their own, or of the same
// commit in a mirror of the repository. Both images are right, and neither is built again for the
// other. Any other image that has the name is a miss.
func (p *Probe) takeBack(
	ctx context.Context, r recipe.Recipe, recs []cache.Record, taker imagestore.Image,
) (cache.Record, Miss, error) {
	if taker.Labels[recipe.LabelRecipe] == "" {
		return cache.Record{}, missForeign(r), nil
	}
	rec, miss, err := p.retag(ctx, r, recs)
	if !miss.IsHit() {
		miss = missForeign(r)
	}
	return rec, miss, err
}

// retag gives an image that is found by its ID the name that it has lost.
func (p *Probe) retag(
	ctx context.Context, r recipe.Recipe, recs []cache.Record,
) (cache.Record, Miss, error) {
	gone := Miss{CauseGone, r.Reference() + " is no longer in the image store"}
	for _, rec := range recs {
		img, err := p.store.Inspect(ctx, rec.ImageID)
		if errors.Is(err, imagestore.ErrNotFound) || errors.Is(err, imagestore.ErrUnreadable) {
			continue
		}
		if err != nil {
			return cache.Record{}, Miss{}, imagestore.StoreFailure(err)
		}
		if img.ID != rec.ImageID || !mismatch(r, img).IsHit() {
			continue
		}
		if err := p.store.Tag(ctx, rec.ImageID, r.Reference()); err != nil {
			return cache.Record{}, gone, nil
		}
		p.found = img
		if rec.Reference != r.Reference() {
			rec = p.rename(ctx, r, rec)
		}
		return rec, Miss{}, nil
	}
	return cache.Record{}, gone, nil
}

// rename writes the record of an image that an earlier version gave another name, and moves the
// names. Names are removed only if they mean this image. All of it is best effort: the image has
// its name. If a build holds the key's lock, the next hit tries again.
func (p *Probe) rename(ctx context.Context, r recipe.Recipe, rec cache.Record) cache.Record {
	old := []string{rec.Reference, r.InUsualForm().Latest()}
	dir, err := p.records()
	if err != nil {
		return rec
	}
	unlock, err := dir.Lock(ctx, rec.Key, 0)
	if err != nil {
		return rec
	}
	defer unlock()
	renamed := rec
	renamed.Reference, renamed.Form = r.Reference(), r.Form()
	if err := dir.Put(renamed); err != nil {
		return rec
	}
	for i, name := range old {
		img, err := p.store.Inspect(ctx, name)
		if err != nil || img.ID != rec.ImageID {
			continue
		}
		if i == 1 {
			_ = p.store.Tag(ctx, rec.ImageID, r.Latest())
		}
		_ = p.store.Untag(ctx, name)
	}
	return renamed
}

// mismatch returns what about an image does not fit the recipe, or a hit.
func mismatch(r recipe.Recipe, img imagestore.Image) Miss {
	for k, want := range r.Labels() {
		if got := img.Labels[k]; got != want {
			return Miss{CauseDifferent, fmt.Sprintf("image %s has the label %s=%q, not %q",
				img.ID, k, got, want)}
		}
	}
	if img.Platform != r.Platform {
		return Miss{CauseDifferent, fmt.Sprintf("image %s is for %s, not %s", img.ID,
			img.Platform, r.Platform)}
	}
	return Miss{}
}
