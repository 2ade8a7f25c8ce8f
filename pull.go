package pinion

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// pull is registry mode: the image comes from the registry, and neither a git server nor a builder
// is asked.
func (o *Orchestrator) pull(ctx context.Context, t resolver.Template, a ask) (*Call, error) {
	if a.push {
		return nil,
			fmt.Errorf("%w: in registry mode nothing is built, so there is nothing to push; "+
				"unset MOLECULE_IMAGE_REGISTRY to build", ErrInvalidInput)
	}
	if a.noCache || !a.head() || len(a.labels)+len(a.attest)+len(a.cacheFrom)+len(a.cacheTo) > 0 {
		return nil,
			fmt.Errorf("%w: in registry mode nothing is built, so there is no commit, no working "+
				"tree, no build cache, no label and no attestation to choose; unset "+
				"MOLECULE_IMAGE_REGISTRY to build", ErrInvalidInput)
	}
	st, err := o.store()
	if err != nil {
		return nil, storeError(err)
	}
	r, err := o.recipe(ctx, st, t)
	if err != nil {
		return nil, err
	}
	ref := o.source.Reference(t.Name)
	if _, err := reference.ParseNormalizedNamed(ref); err != nil {
		return nil,
			fmt.Errorf("%w: MOLECULE_IMAGE_REGISTRY gives %q, which is no image reference: %w",
				ErrInvalidInput, ref, err)
	}
	img := Image{Schema: schemaVersion, Name: t.Name, Mode: o.source.Mode, Outcome: OutcomeHit,
		Reference: ref, Platform: r.Platform}
	resolved := Event{Type: EventResolved, Name: t.Name, Reference: ref}
	miss := "asked to pull"
	if !a.pull {
		if img.ID, miss, err = present(ctx, st, ref, r.Platform); err != nil {
			return nil, err
		}
		if miss == "" {
			return o.hit(ctx, resolved, img), nil
		}
	}
	return o.join(ctx, "pull "+ref+" "+r.Platform, resolved,
		func(ctx context.Context, b *Build) (Image, error) {
			begun := time.Now()
			if err := o.fetchImage(ctx, st, b, ref, r.Platform); err != nil {
				return Image{}, err
			}
			img.Outcome, img.Reason, img.Durations.Pull = OutcomePulled, miss, ms(time.Since(begun))
			img.ID, miss, err = present(ctx, st, ref, r.Platform)
			if err == nil && miss != "" {
				err = fmt.Errorf("%w: %s", ErrVerification, miss)
			}
			return img, err
		})
}

// present returns the image's ID, or the reason why it has to be pulled.
func present(ctx context.Context, st store, ref, platform string) (id, miss string, err error) {
	got, err := st.InspectPlatform(ctx, ref, platform)
	switch {
	case errors.Is(err, imagestore.ErrNotFound):
		return "", "not in the image store", nil
	case err != nil:
		return "", "", storeError(err)
	case !resolver.SamePlatform(got.Platform, platform):
		return "", fmt.Sprintf("the one in the image store is for %s", got.Platform), nil
	}
	return got.ID, "", nil
}

func (o *Orchestrator) fetchImage(ctx context.Context, st store, b *Build, ref,
	platform string) error {
	o.log.Info(fmt.Sprintf("Provisioner: registry mode → pulling %s for runtime %s", ref, b.name))
	return imagestore.Failure(st.Pull(ctx, ref, platform, func(status string) {
		o.log.Debug(status)
		b.emit(Event{Type: EventLog, Text: b.clean(status)})
	}))
}
