package buildkit

import (
	"context"
	"errors"

	cerrdefs "github.com/containerd/errdefs"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

// attempt says how one try at a solve differs from the first, by the failures of earlier tries. The
// zero value is the first try: it fetches the single commit, offers the cache imports and delivers
// layer by layer.
type attempt struct {
	// commitRefused makes the attempt fetch the repository's refs.
	commitRefused error
	// importsBroken makes the attempt offer no cache imports.
	importsBroken error
	// layersUnreadable makes the attempt deliver a docker archive.
	layersUnreadable error
}

// fallback is a change to make after a failed attempt.
type fallback struct {
	// cause returns the part of the failure that the fallback avoids, or nil if there is none.
	cause func(ctx context.Context, s *solve, err error) error
	// apply makes the change.
	apply func(next *attempt, cause error)
}

// fallbacks returns the fallbacks in the order in which [Builder.Solve] tries them, each at most
// once. A change stays in force for the attempts that follow.
func fallbacks() []fallback {
	return []fallback{
		{commitRefused, func(next *attempt, cause error) { next.commitRefused = cause }},
		{importsBroken, func(next *attempt, cause error) { next.importsBroken = cause }},
		{attestationCollected, func(*attempt, error) {}},
		{attestationCollected, func(*attempt, error) {}},
		{layersUnreadable, func(next *attempt, cause error) { next.layersUnreadable = cause }},
	}
}

// commitRefused: some servers give out only the commits that their refs point to. One that is away
// has refused nothing, and neither has a builder without disk.
func commitRefused(_ context.Context, s *solve, _ error) error {
	if s.failed == nil || s.gitAway() || exhausted(s.failed.Err.Error()) {
		return nil
	}
	if refused, ok := errors.AsType[*refusedCommit](s.failed); ok {
		return refused
	}
	return nil
}

// importsBroken: a blob that a cache import lists may be missing.
func importsBroken(ctx context.Context, s *solve, err error) error {
	if s.mayBlameImports(ctx, err) {
		return err
	}
	return nil
}

// attestationCollected: at a builder that holds nothing for a delivery (see [held]), nothing refers
// to an attestation once the export has ended. BuildKit's history keeps the image's documents, but
// leaves out the layers of every manifest, and the attestation is such a layer (BuildKit,
// solver/llbsolver/history). So a garbage collection, which any build may start, can remove it
// before it is read. The builder makes another one from its cache.
func attestationCollected(_ context.Context, _ *solve, err error) error {
	if errors.Is(err, errNoArchive) && cerrdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// layersUnreadable: builders before BuildKit 0.12 have no content API. A docker archive has no
// place for an attestation, so it does not replace an image that needs one.
func layersUnreadable(_ context.Context, _ *solve, err error) error {
	if errors.Is(err, errUnreadable) && !errors.Is(err, errNoArchive) {
		return err
	}
	return nil
}

// annotate adds to the result why earlier attempts failed.
func (a attempt) annotate(res *Result, secrets *redact.Redactor) {
	if a.importsBroken != nil {
		res.ImportFailed = secrets.Error(harmless(a.importsBroken))
	}
	if a.layersUnreadable != nil {
		res.Delivery.Reason = secrets.String(a.layersUnreadable.Error())
	}
}
