package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/failpoint"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

// ErrVerification is the kind of error if the image that was delivered is not the one that was
// built.
var ErrVerification = errors.New("verification failed")

// untagTimeout bounds the removal of temporary names.
const untagTimeout = 10 * time.Second

// Adopted is an image that was delivered and verified, under its own name.
type Adopted struct {
	imagestore.Image
	Kind imagestore.Kind
	// Layers are the digests of the layers that passed through Pinion, for the next delivery.
	Layers []string
	// Warnings are about conveniences that failed.
	Warnings []string
}

// Adopt verifies the image that arrived, and only then gives it its own name. If latest is true, it
// also moves the latest name. The temporary names are gone afterwards, also after a failure. The
// error is of kind [ErrVerification] or [imagestore.ErrStore].
func (a *Arrival) Adopt(ctx context.Context, res buildkit.Result, latest bool) (Adopted, error) {
	img, err := a.verify(ctx, res)
	err = failpoint.At(ctx, failpoint.Verified, err)
	hasName := slices.Contains(img.Tags, a.recipe.Reference())
	if err == nil && !hasName {
		err = a.store.Store.Tag(ctx, img.ID, a.recipe.Reference())
	}
	err = failpoint.At(ctx, failpoint.Tagged, err)
	// What follows depends on nothing but the engine, so it runs at the same time.
	var side sync.WaitGroup
	side.Go(func() { a.Discard(ctx) })
	if err != nil {
		side.Wait()
		return Adopted{}, verificationOrStore(err)
	}
	var moved []string
	if latest {
		side.Go(func() { moved = a.moveLatest(ctx, img.Image) })
	}
	if !hasName {
		err = a.checkName(ctx, img.ID)
	}
	img.Warnings = a.tooManyLayers(ctx, img.Image)
	side.Wait()
	img.Warnings = append(img.Warnings, moved...)
	return img, err
}

// tooManyLayers returns a warning if the store has the image and cannot run it.
func (a *Arrival) tooManyLayers(ctx context.Context, img imagestore.Image) []string {
	info, err := a.store.Info(ctx)
	if err != nil || info.MaxLayers == 0 || img.Layers <= info.MaxLayers {
		return nil
	}
	return []string{fmt.Sprintf("the image has %d layers and cannot be run here: containers of "+
		"the image store (%s) can have %d. Join instructions of the Dockerfile, or keep the image "+
		"in a containerd image store", img.Layers, info.Driver, info.MaxLayers)}
}

// checkName returns an error if another program has moved the name in the meantime.
func (a *Arrival) checkName(ctx context.Context, id string) error {
	img, err := inspectAgain(ctx, a.store.Store, a.recipe.Reference())
	if err != nil {
		return imagestore.StoreFailure(err)
	}
	if img.ID != id {
		return fmt.Errorf("%w: another process moved %s to %s",
			ErrVerification, a.recipe.Reference(), img.ID)
	}
	return nil
}

// verify returns the image that arrived if it is the image that was built.
func (a *Arrival) verify(ctx context.Context, res buildkit.Result) (Adopted, error) {
	img, err := a.inspect(ctx)
	if err != nil {
		return Adopted{}, err
	}
	if want := expectedID(res, img.Kind); img.ID != want {
		return Adopted{}, fmt.Errorf("%w: image %s was delivered where the builder made %s",
			ErrVerification, img.ID, want)
	}
	if miss := mismatch(a.recipe, img.Image); !miss.IsHit() {
		return Adopted{}, fmt.Errorf("%w: %s", ErrVerification, miss)
	}
	return img, nil
}

// inspect returns the image under its temporary name.
func (a *Arrival) inspect(ctx context.Context) (Adopted, error) {
	if r := a.received; r != nil {
		return Adopted{Image: r.Image, Kind: r.Kind, Layers: a.layers}, nil
	}
	info, err := a.store.Info(ctx)
	if err != nil {
		return Adopted{}, err
	}
	img, err := inspectAgain(ctx, a.store.Store, a.Name())
	if err != nil {
		return Adopted{}, fmt.Errorf("the image that was delivered: %w", err)
	}
	return Adopted{Image: img, Kind: info.Kind}, nil
}

// inspectAgain inspects an image that was built, a second time if the store did not answer: it may
// be busy, and a build takes longer than an inspection.
func inspectAgain(
	ctx context.Context, store imagestore.Store, ref string,
) (imagestore.Image, error) {
	img, err := store.Inspect(ctx, ref)
	if errors.Is(err, imagestore.ErrUnavailable) && ctx.Err() == nil {
		img, err = store.Inspect(ctx, ref)
	}
	return img, err
}

// expectedID returns the ID that the store must give the image: the config's digest on the classic
// store, otherwise the manifest's. A builder that reports one digest alone (Docker 20.10) reports
// the config's under the manifest's name.
func expectedID(res buildkit.Result, kind imagestore.Kind) string {
	if kind == imagestore.KindClassic && res.ConfigDigest != "" {
		return res.ConfigDigest
	}
	return res.ManifestDigest
}

// moveLatest moves the latest name, which is a convenience: a failure is a warning.
func (a *Arrival) moveLatest(ctx context.Context, img imagestore.Image) (warnings []string) {
	latest := a.recipe.Latest()
	if latest == "" || slices.Contains(img.Tags, latest) {
		return nil
	}
	if err := a.store.Store.Tag(ctx, img.ID, latest); err != nil {
		return []string{fmt.Sprintf("%s was not moved: %v", latest, err)}
	}
	return nil
}

// Discard removes the temporary names, even if ctx has ended: the one that the image arrived under,
// and the one that a killed attempt may have left on another image. A name that cannot be removed
// is removed by the next attempt at the key.
func (a *Arrival) Discard(ctx context.Context) {
	names := []string{a.Name()}
	if r := a.received; r != nil && r.Name != "" && r.Name != names[0] {
		names = append(names, r.Name)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), untagTimeout)
	defer cancel()
	for _, name := range names {
		_ = a.store.Store.Untag(ctx, name)
	}
}

func verificationOrStore(err error) error {
	if errors.Is(err, ErrVerification) {
		return err
	}
	return imagestore.StoreFailure(err)
}

// reasonAdopted is the reason of a build whose image had the recipe's name before, though no record
// said so: an image that bake made, or one whose record is lost.
const reasonAdopted = "adopted"

// reasonUnconfirmed is the reason of a build that came to another image than the one that had the
// recipe's name before without a record: the builder's cache has lost its steps.
const reasonUnconfirmed = "no record of the image that has this name, and the build came to " +
	"another one"

// FindPredecessor looks for the image that has the recipe's name before a build. It sends the ID,
// or "" if there is none or if the miss has another reason.
func FindPredecessor(
	ctx context.Context, store imagestore.Store, r recipe.Recipe, miss Miss,
) <-chan string {
	id := make(chan string, 1)
	if miss.Cause != CauseNew && miss.Cause != CauseForeign {
		id <- ""
		return id
	}
	go func() {
		// If the store fails, the build finds out.
		img, _ := store.Inspect(ctx, r.Reference())
		id <- img.ID
	}()
	return id
}

// Reason returns why an image was built, for the receipt. predecessor and id are the IDs of the
// images that had the name before and after.
func Reason(miss Miss, predecessor, id string) string {
	switch {
	case predecessor == id:
		return reasonAdopted
	case predecessor != "" && miss.Cause == CauseNew:
		return reasonUnconfirmed
	}
	return miss.Text
}
