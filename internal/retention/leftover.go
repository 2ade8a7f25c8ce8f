package retention

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Leftovers are what earlier tools left: images in the store, and clones in the cache folder.
type Leftovers struct {
	survey *Survey
	images []leftover
	gone   []string // the names that Remove has removed, or would have
	Clones []cache.Clone
}

// leftover is an image under one name of the platform's earlier local build, or an image without a
// name that a recipe's image has replaced.
type leftover struct {
	Image
	key string // of the image without a name, otherwise ""
	why string
}

// earlierTag is the tag of an image of the platform's earlier local build, without the token of an
// isolation: the first 12 digits of the commit, in its later versions with the architecture, or
// latest.
var earlierTag = lazy.Regexp(`^(?:latest|[0-9a-f]{12}(?:-(?:amd64|arm64))?)$`)

// FindLeftovers looks for what earlier tools left of the templates in a scope, by forms that only
// those tools use:
//   - an image without Pinion's labels under a name of the platform's earlier local build;
//   - an image without a name that has the label of a recorded recipe, and the configuration and
//     number of layers of the image that the record names. So an image that somebody built from one
//     of Pinion's is none, though it has inherited the label;
//   - a clone, see [cache.Dir.Clones].
//
// A folder as image store has none of the images. The error is of kind [imagestore.ErrStore], or
// the cache folder's.
func (s *Survey) FindLeftovers(ctx context.Context, scope Scope) (*Leftovers, error) {
	found := &Leftovers{survey: s}
	if _, isEngine := s.Store.(imagestore.Remover); isEngine {
		images, err := s.Store.List(ctx, "")
		if err != nil {
			return nil, imagestore.StoreFailure(err)
		}
		for _, img := range images {
			if err := s.findLeftover(ctx, img, scope, found); err != nil {
				return nil, imagestore.StoreFailure(err)
			}
		}
	}
	clones, err := s.Dir.Clones(func(name string) bool {
		return resolver.IsKnownRuntime(name) && scope.contains(name, "")
	})
	found.Clones = clones
	return found, err
}

// findLeftover adds what an image from the store's list is of a leftover.
func (s *Survey) findLeftover(
	ctx context.Context, img imagestore.Image, scope Scope, to *Leftovers,
) error {
	key, labelled := strings.CutPrefix(img.Labels[recipe.LabelRecipe], "sha256:")
	of := Image{ID: img.ID, Size: img.Size, BuiltAt: img.Created}
	if _, ours := img.Labels[recipe.LabelRecipe]; !ours {
		for _, tag := range img.Tags {
			of.Name, of.Reference = s.earlierName(tag), tag
			if of.Name != "" && scope.contains(of.Name, tag) &&
				!slices.Contains(s.ids[tag], img.ID) {
				to.images = append(to.images, leftover{Image: of,
					why: tag + " is a name of the platform's earlier local build"})
			}
		}
		return nil
	}
	if !labelled || len(img.Tags) > 0 || s.isRecordedID(img.ID) {
		return nil
	}
	for _, h := range s.holdings {
		if h.key != key || h.state != intact || h.isTemporary() || !scope.has(h) {
			continue
		}
		same, err := s.sameShape(ctx, img.ID, h.ID)
		if err != nil || !same {
			return err
		}
		of.Name, of.Revision, of.Tree, of.Platform = h.Name, h.Revision, h.Tree, h.Platform
		to.images = append(to.images, leftover{Image: of, key: key,
			why: "a later build has taken its name"})
		return nil
	}
	return nil
}

// earlierName returns the runtime of a name that the platform's earlier local build gives, or "".
func (s *Survey) earlierName(tag string) string {
	repository, tag, _ := strings.Cut(tag, ":")
	runtime, ours := strings.CutPrefix(repository, recipe.Namespace+"workspace-template-")
	token := ""
	if s.Isolation != "" {
		token = "--" + s.Isolation
	}
	tag, isolated := strings.CutSuffix(tag, token)
	if !ours || !isolated || !resolver.IsKnownRuntime(runtime) || !earlierTag().MatchString(tag) {
		return ""
	}
	return runtime
}

func (s *Survey) isRecordedID(id string) bool {
	return slices.ContainsFunc(s.records, func(rec cache.Record) bool { return rec.ImageID == id })
}

// sameShape reports whether two images have the same configuration and as many layers. An image
// that is gone has no shape.
func (s *Survey) sameShape(ctx context.Context, one, other string) (bool, error) {
	shapes := [2]string{}
	for i, id := range []string{one, other} {
		img, err := s.Store.Inspect(ctx, id)
		if err != nil && !errors.Is(err, imagestore.ErrNotFound) {
			return false, err
		}
		shapes[i] = img.Shape
	}
	return shapes[0] != "" && shapes[0] == shapes[1], nil
}

// Images returns the images.
func (l *Leftovers) Images() (images []Image) {
	for _, of := range l.images {
		images = append(images, of.Image)
	}
	return images
}

// Remove removes the images and then the clones. An image that a container uses stays, and so does
// what the engine refuses to remove. The report has the images, and clones those that are gone, or
// would be. After an error of kind [imagestore.ErrStore], or of ctx or the cache folder, it has
// what was done.
func (l *Leftovers) Remove(
	ctx context.Context, dryRun bool,
) (r Report, clones []cache.Clone, err error) {
	r.Items = []Item{}
	for _, of := range l.images {
		if err := ctx.Err(); err != nil {
			return r, nil, err
		}
		item, err := l.remove(ctx, of, dryRun)
		if err != nil {
			return r, nil, imagestore.StoreFailure(err)
		}
		r.Items = append(r.Items, item)
		r.Reclaimed += item.Reclaimed
		if item.Action == Kept {
			r.Remaining += item.Size
		}
	}
	for _, c := range l.Clones {
		if err := ctx.Err(); err != nil {
			return r, clones, err
		}
		if !dryRun {
			if err := l.survey.Dir.RemoveClone(c); err != nil {
				return r, clones, err
			}
		}
		clones = append(clones, c)
	}
	return r, clones, nil
}

func (l *Leftovers) remove(ctx context.Context, of leftover, dryRun bool) (Item, error) {
	item := Item{Image: of.Image, Action: Removed, Reason: of.why}
	if name := l.survey.users[of.ID]; name != "" {
		item.keep("the container " + name + " uses it")
		return item, nil
	}
	if of.key != "" {
		unlock, oddity, err := l.survey.lock(ctx, of.key)
		switch {
		case err != nil:
			return item, err
		case oddity != "":
			item.keep(oddity)
			return item, nil
		}
		defer unlock()
	}
	img, oddity, err := l.lookAgain(ctx, of)
	switch {
	case err != nil:
		return item, err
	case oddity != "":
		item.keep(oddity)
		return item, nil
	}
	if !dryRun {
		// A removal that has begun is completed: each request has a bound of its own.
		oddity, failed := refusal(l.drop(context.WithoutCancel(ctx), of))
		switch {
		case failed != nil:
			return item, failed
		case oddity != "":
			item.keep(oddity)
			return item, nil
		}
	}
	l.gone = append(l.gone, of.Reference)
	if slices.ContainsFunc(img.Tags, func(tag string) bool {
		return !slices.Contains(l.gone, tag)
	}) {
		item.Reason += "; the image stays under another name"
	} else {
		item.Reclaimed = img.Size
	}
	return item, nil
}

// lookAgain returns the image if it still is such a leftover, otherwise what has changed.
func (l *Leftovers) lookAgain(
	ctx context.Context, of leftover,
) (img imagestore.Image, oddity string, err error) {
	img, err = l.survey.Store.Inspect(ctx, cmp.Or(of.Reference, of.ID))
	now := &Leftovers{}
	if err == nil {
		err = l.survey.findLeftover(ctx, img, Scope{}, now)
	}
	switch {
	case errors.Is(err, imagestore.ErrNotFound):
		return img, "it is gone", nil
	case err == nil && !slices.ContainsFunc(now.images, func(found leftover) bool {
		return found.ID == of.ID && found.Reference == of.Reference
	}):
		return img, "it has changed in the meantime", nil
	}
	return img, "", err
}

func (l *Leftovers) drop(ctx context.Context, of leftover) error {
	if of.Reference != "" {
		return l.survey.Store.Untag(ctx, of.Reference)
	}
	return removeNameless(ctx, l.survey.Store, of.ID)
}
