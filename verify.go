package pinion

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// missNoImage is the reason for the first build of a commit.
const missNoImage = "no image for this revision"

// history is what the cache folder remembers of this recipe in this store, newest first. It proves
// nothing by itself.
type history struct {
	records  []cache.Record
	rejected []string
	err      error
}

func (j *job) openHistory() history {
	dir, err := j.o.records()
	if err != nil {
		return history{err: err}
	}
	recs, rejected, err := dir.Records(j.recipe.line(), j.store.Endpoint())
	return history{recs, rejected, err}
}

// format is the repository's object format as far as we remember; asking with the right one saves a
// request.
func (h history) format() git.ObjectFormat {
	if len(h.records) == 0 {
		return ""
	}
	rev, err := git.ParseRevision(h.records[0].Revision)
	if err != nil {
		return ""
	}
	return rev.Format()
}

// guess is an inspection under way. Most often the head has not moved, and then a hit costs the
// slower of the two requests instead of both.
type guess struct {
	reference string
	answer    chan inspected
}

type inspected struct {
	image imagestore.Image
	err   error
}

func (h history) inspectNewest(ctx context.Context, st store) *guess {
	if len(h.records) == 0 {
		return nil
	}
	g := &guess{reference: h.records[0].Reference, answer: make(chan inspected, 1)}
	go func() {
		img, err := st.Inspect(ctx, g.reference)
		g.answer <- inspected{img, err}
	}()
	return g
}

func (g *guess) inspect(ctx context.Context, st store, reference string) (imagestore.Image, error) {
	if g == nil || g.reference != reference {
		return st.Inspect(ctx, reference)
	}
	in := <-g.answer
	return in.image, in.err
}

// verify returns the hit, or the reason why there is none: record, image ID, labels and platform
// must all agree. The error is the store's, when it does not answer.
func (j *job) verify(ctx context.Context, h history, g *guess) (img Image, miss string, err error) {
	recs := h.of(j.recipe.key())
	if len(recs) == 0 {
		return Image{}, h.noRecord(), nil
	}
	got, err := g.inspect(ctx, j.store, j.recipe.reference())
	if errors.Is(err, imagestore.ErrNotFound) {
		return j.retag(ctx, recs)
	}
	if err != nil {
		return Image{}, "", storeError(err)
	}
	i := slices.IndexFunc(recs, func(r cache.Record) bool { return r.ImageID == got.ID })
	if i < 0 {
		return Image{}, j.notOurs(), nil
	}
	if miss := j.disagreement(got); miss != "" {
		return Image{}, miss, nil
	}
	return j.image(OutcomeHit, recs[i]), "", nil
}

// notOurs is the reason where another image has the name.
func (j *job) notOurs() string {
	return j.recipe.reference() + " names an image that was not built here"
}

// retag gives an image that is there by its ID the name it has lost.
func (j *job) retag(ctx context.Context, recs []cache.Record) (Image, string, error) {
	gone := fmt.Sprintf("%s is no longer in the image store", j.recipe.reference())
	for _, rec := range recs {
		got, err := j.store.Inspect(ctx, rec.ImageID)
		if errors.Is(err, imagestore.ErrNotFound) {
			continue
		}
		if err != nil {
			return Image{}, "", storeError(err)
		}
		if got.ID != rec.ImageID || j.disagreement(got) != "" {
			continue
		}
		if err := j.store.Tag(ctx, rec.ImageID, j.recipe.reference()); err != nil {
			return Image{}, gone, nil
		}
		return j.image(OutcomeHit, rec), "", nil
	}
	return Image{}, gone, nil
}

// disagreement is what about the image does not fit the recipe, or empty.
func (j *job) disagreement(got imagestore.Image) string {
	for k, want := range j.recipe.labels() {
		if got.Labels[k] != want {
			return fmt.Sprintf("image %s has the label %s=%q, not %q", got.ID, k, got.Labels[k],
				want)
		}
	}
	if got.Platform != j.recipe.Platform {
		return fmt.Sprintf("image %s is for %s, not %s", got.ID, got.Platform, j.recipe.Platform)
	}
	return ""
}

func (h history) of(key string) (recs []cache.Record) {
	for _, r := range h.records {
		if r.Key == key {
			recs = append(recs, r)
		}
	}
	return recs
}

// noRecord says why nothing is remembered.
func (h history) noRecord() string {
	switch {
	case h.err != nil:
		return fmt.Sprintf("the cache cannot be read: %v", h.err)
	case len(h.rejected) > 0:
		return fmt.Sprintf("unreadable record put aside: %s", h.rejected[0])
	default:
		return missNoImage
	}
}
