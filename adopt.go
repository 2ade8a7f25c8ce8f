package pinion

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
)

// store is the image store of a job.
type store = imagestore.Store

// builtImage is an image that was delivered and verified.
type builtImage struct {
	imagestore.Image
	kind imagestore.Kind
	// warnings are about what is only a convenience.
	warnings []string
}

// adopt verifies what was delivered under a temporary name and only then gives it its own. The
// temporary name is gone afterwards, whatever happens.
func (j *job) adopt(ctx context.Context, res buildkit.Result, to *sink) (builtImage, error) {
	img, err := j.delivered(ctx, res, to)
	err = failpoint.At(ctx, failpoint.Verified, err)
	hasName := slices.Contains(img.Tags, j.recipe.reference())
	if err == nil && !hasName {
		err = j.store.Tag(ctx, img.ID, j.recipe.reference())
	}
	err = failpoint.At(ctx, failpoint.Tagged, err)
	// From here on nothing waits for anything but the engine.
	var side sync.WaitGroup
	side.Go(func() { j.discard(ctx, to) })
	if err != nil {
		side.Wait()
		return builtImage{}, storeOrVerification(err)
	}
	side.Go(func() { img.warnings = j.latest(ctx, img.Image) })
	if !hasName {
		err = j.keptName(ctx, img.ID)
	}
	side.Wait()
	return img, err
}

// keptName makes sure that nobody else has moved the name meanwhile.
func (j *job) keptName(ctx context.Context, id string) error {
	tagged, err := j.store.Inspect(ctx, j.recipe.reference())
	if err != nil {
		return storeError(err)
	}
	if tagged.ID != id {
		return fmt.Errorf("%w: somebody else moved %s to %s", ErrVerification, j.recipe.reference(),
			tagged.ID)
	}
	return nil
}

// delivered is the image that came, if it is the one that was built.
func (j *job) delivered(ctx context.Context, res buildkit.Result, to *sink) (builtImage, error) {
	img, err := j.arrived(ctx, to)
	if err != nil {
		return builtImage{}, err
	}
	if want := expectedID(res, img.kind); img.ID != want {
		return builtImage{}, fmt.Errorf("%w: image %s was delivered where the builder made %s",
			ErrVerification, img.ID, want)
	}
	if d := j.disagreement(img.Image); d != "" {
		return builtImage{}, fmt.Errorf("%w: %s", ErrVerification, d)
	}
	return img, nil
}

// arrived is the image under its temporary name.
func (j *job) arrived(ctx context.Context, to *sink) (builtImage, error) {
	if to.received != nil {
		return builtImage{Image: to.received.Image, kind: to.received.Kind}, nil
	}
	info, err := j.store.Info(ctx)
	if err != nil {
		return builtImage{}, err
	}
	img, err := j.store.Inspect(ctx, j.recipe.temporary(j.o.owner))
	if err != nil {
		return builtImage{}, fmt.Errorf("the image that was delivered: %w", err)
	}
	return builtImage{Image: img, kind: info.Kind}, nil
}

// expectedID is the ID that the store must give the image. The classic store's is the config's
// digest; where the builder reports only one digest (Docker 20.10), that is the config's under the
// manifest's name.
func expectedID(res buildkit.Result, kind imagestore.Kind) string {
	if kind == imagestore.KindClassic && res.ConfigDigest != "" {
		return res.ConfigDigest
	}
	return res.ManifestDigest
}

// latest moves the name that people use by hand, unless a commit or a working tree was asked for by
// hand, which need not be the latest. It is a convenience, so a failure is only told.
func (j *job) latest(ctx context.Context, img imagestore.Image) []string {
	if !j.ask.head() || slices.Contains(img.Tags, j.recipe.latest()) {
		return nil
	}
	if err := j.store.Tag(ctx, img.ID, j.recipe.latest()); err != nil {
		return []string{fmt.Sprintf("%s was not moved: %v", j.recipe.latest(), err)}
	}
	return nil
}

// discard removes the temporary names, also when the caller has gone: the one that the image came
// by, and the one that an attempt which was killed may have left on another image.
func (j *job) discard(ctx context.Context, to *sink) {
	names := []string{j.recipe.temporary(j.o.owner)}
	if to.received != nil && to.received.Name != "" && to.received.Name != names[0] {
		names = append(names, to.received.Name)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, name := range names {
		// Nothing to tell: where the name cannot be removed, the next attempt at this key tries
		// again.
		_ = j.store.Untag(ctx, name)
	}
}

func storeOrVerification(err error) error {
	if errors.Is(err, ErrVerification) {
		return err
	}
	return storeError(err)
}

// storeError marks an error as the store's.
func storeError(err error) error { return imagestore.StoreFailure(err) }
