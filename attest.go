package pinion

import (
	"context"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Attest has the builder attach a statement to the image of how it was made: an entry as `docker
// buildx build --attest` takes it, type=provenance with mode=min or mode=max (the default, as in
// BuildKit), or the type alone. It is part of what the image is made of: the image has a key and a
// tag of its own, <commit>.provenance-<mode>, and is a hit for those alone who ask for the same.
// The statement holds times, so two builds of one commit have two image IDs, and the ID is that of
// an index which leads to the image and to the statement.
//
// It wants a store that holds an index, Docker's containerd store or a folder, and BuildKit 0.11 in
// the builder, 0.12 outside the store; elsewhere the call fails with [ErrInvalidInput] before
// anything is built, or with [ErrDelivery].
func Attest(entry string) EnsureOption {
	return func(a *ask) { a.attest = append(a.attest[:len(a.attest):len(a.attest)], entry) }
}

// provenance is the mode that was asked for; the last entry counts.
func (a ask) provenance() (mode buildkit.Provenance, err error) {
	for _, entry := range a.attest {
		if mode, err = buildkit.ParseProvenance(entry); err != nil {
			return "", err
		}
	}
	if mode != "" && a.local {
		return "",
			fmt.Errorf("%w: a working tree is of no commit, so there is no provenance to state; "+
				"push the commit", ErrInvalidInput)
	}
	return mode, nil
}

// attested is the recipe with a statement that somebody asked for.
func (r recipe) attested(mode buildkit.Provenance) recipe {
	r.Provenance = string(mode)
	return r
}

// checkAttest refuses before the build what the store could not hold after it.
func (j *job) checkAttest(ctx context.Context) error {
	if j.recipe.Provenance == "" {
		return nil
	}
	info, err := j.store.Info(ctx)
	if err != nil {
		return storeError(err)
	}
	if info.Kind == imagestore.KindClassic {
		return fmt.Errorf("%w: an image with provenance is an index, and the classic image store "+
			"of %s cannot hold one; "+
			`set "features": {"containerd-snapshotter": true} in the engine's daemon.json, or keep images in a folder with --store oci:DIR`,
			ErrInvalidInput, j.store.Endpoint())
	}
	return nil
}
