// Package publish pushes an image to a registry under the names of its commit.
//
// It guarantees that the name latest is pushed only after the pinned name stands for the image
// there, and that an error does not hide what was pushed before it. It does not guarantee that a
// name keeps standing for the image: others can push as well.
package publish

import (
	"context"
	"errors"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

// Names are those of one image in a registry.
type Names struct {
	Pinned string
	Latest string // "" if it is not to move
}

// Pushed is a name in a registry and the digest of the manifest that it stands for there.
type Pushed struct {
	Reference string
	Digest    string
}

// Report is what a push came to, also one that failed.
type Report struct {
	Pushed   []Pushed
	Warnings []string
}

// Image is what is pushed.
type Image struct {
	ID string
	// Recipe is the recipe's label, by which images of one recipe are known.
	Recipe string
	Names  Names
	// Superseded reports whether the branch has moved on, so that latest stays where it is. The
	// push of the pinned name may have taken minutes.
	Superseded func(context.Context) bool
}

// Push pushes one name and returns the digest that the registry shows.
type Push func(ctx context.Context, p imagestore.Push) (digest string, err error)

// Do pushes the image under its names. A name that the registry keeps for another image is a
// warning if it is latest, or if the other image is one of the same recipe.
func Do(ctx context.Context, img Image, push Push) (r Report, err error) {
	digest, err := push(ctx, imagestore.Push{ID: img.ID, Ref: img.Names.Pinned})
	if taken, ok := errors.AsType[*imagestore.TakenError](err); ok && img.isSame(taken) {
		r.warn("%s is not this image: the registry has another build of the commit there (%s) "+
			"and keeps it: %v", img.Names.Pinned, taken.Digest, err)
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.Pushed = append(r.Pushed, Pushed{img.Names.Pinned, digest})
	latest := img.Names.Latest
	if latest == "" {
		return r, nil
	}
	if img.Superseded(ctx) {
		r.warn("%s was left where it is: the branch has moved on", latest)
		return r, nil
	}
	digest, err = push(ctx, imagestore.Push{ID: img.ID, Ref: latest, Known: digest})
	if taken, ok := errors.AsType[*imagestore.TakenError](err); ok {
		r.warn("%s was left where it is, at %s: the registry does not let it move: %v", latest,
			taken.Digest, taken.Err)
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.Pushed = append(r.Pushed, Pushed{latest, digest})
	return r, nil
}

// isSame reports whether a name was refused since it is fixed, and stands for an image of the same
// recipe.
func (i Image) isSame(taken *imagestore.TakenError) bool {
	return !errors.Is(taken, imagestore.ErrUnauthorized) &&
		taken.Labels[recipe.LabelRecipe] == i.Recipe
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}
