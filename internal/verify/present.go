package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Present returns the ID of an image that need not be one of Pinion's, or the reason why it must be
// pulled.
func Present(
	ctx context.Context, store imagestore.Store, ref, platform string,
) (id string, miss Miss, err error) {
	img, err := store.InspectPlatform(ctx, ref, platform)
	switch {
	case errors.Is(err, imagestore.ErrNotFound):
		return "", Miss{CauseGone, "not in the image store"}, nil
	case errors.Is(err, imagestore.ErrUnreadable):
		return "", Miss{CauseUnreadable, err.Error()}, nil
	case err != nil:
		return "", Miss{}, imagestore.StoreFailure(err)
	case !resolver.SamePlatform(img.Platform, platform):
		return "", Miss{CauseDifferent, "the one in the image store is for " + img.Platform}, nil
	}
	return img.ID, Miss{}, nil
}

// Given inspects an image by its ID or by a reference with a digest. A store that identifies images
// by their manifests has the digest as the ID, whatever name the image has there. The caller
// compares the platform. The error is imagestore.ErrNotFound, or the store's.
func Given(
	ctx context.Context, store imagestore.Store, given, platform string,
) (imagestore.Image, error) {
	id := given
	if named, err := reference.ParseNormalizedNamed(given); err == nil {
		if digested, ok := named.(reference.Digested); ok {
			img, err := store.InspectPlatform(ctx, given, platform)
			if !errors.Is(err, imagestore.ErrNotFound) {
				return img, err
			}
			id = digested.Digest().String()
		}
	}
	img, err := store.InspectPlatform(ctx, id, platform)
	if err == nil && img.ID != id {
		err = fmt.Errorf("%w: the store has %s under this ID", imagestore.ErrNotFound, img.ID)
	}
	return img, err
}
