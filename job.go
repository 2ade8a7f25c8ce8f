package pinion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/failpoint"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// job is one call in local-build mode.
type job struct {
	o        *Orchestrator
	ask      ask
	template resolver.Template
	store    store
	caches   namedCaches
	// recipe lacks the revision until the git server has told it.
	recipe recipe
	// tree is nil unless the caller asked for a working tree.
	tree      *buildkit.Tree
	durations Durations
	// told is who hears of the build; nil before there is one.
	told *Build
}

// run is the way of a request: look up, verify a hit, else build once for all who ask.
func (j *job) run(ctx context.Context) (*Call, error) {
	h := j.openHistory()
	miss := j.bypass()
	guessing, stop := context.WithCancel(ctx)
	defer stop()
	var g *guess
	if miss == "" && j.ask.revision.IsZero() {
		g = h.inspectNewest(guessing, j.store)
	}

	begun := time.Now()
	rev, err := resolver.Commit(ctx, j.o.heads, j.template, j.ask.pin(), h.format())
	if err = failpoint.At(ctx, failpoint.LookedUp, err); err != nil {
		return nil, err
	}
	j.durations.Lookup = ms(time.Since(begun))
	j.recipe = j.recipe.at(rev)
	resolved := Event{Type: EventResolved, Name: j.template.Name, Revision: rev,
		Reference: j.recipe.reference(), Prewarmed: j.ask.prewarm}
	return j.settle(ctx, resolved, miss, h, g)
}

// settle finds the image of the recipe, or builds it. miss is the reason not to look for it, or
// empty.
func (j *job) settle(ctx context.Context, resolved Event, miss string, h history,
	g *guess) (*Call, error) {
	if miss == "" {
		var img Image
		var err error
		if img, miss, err = j.verify(ctx, h, g); err != nil {
			return nil, err
		}
		if miss == "" {
			return j.o.hit(ctx, resolved, img), nil
		}
	}
	return j.o.join(ctx, j.ask.flight(j.recipe.key()), resolved,
		func(ctx context.Context, b *Build) (Image, error) {
			j.told = b
			return j.build(ctx, miss)
		})
}

// bypass is the reason not to look for a hit at all, or empty.
func (j *job) bypass() string {
	switch {
	case j.ask.noCache:
		return "asked to build without cache"
	case j.ask.pull:
		return "asked to pull the base images again"
	}
	return ""
}

// build makes the image under the key's lock. What another process built while we waited for the
// lock is a hit.
func (j *job) build(ctx context.Context, miss string) (Image, error) {
	if err := j.checkAttest(ctx); err != nil {
		return Image{}, err
	}
	unlock, warnings, err := j.lock(ctx)
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	if err := failpoint.At(ctx, failpoint.Locked, nil); err != nil {
		return Image{}, err
	}
	if j.bypass() == "" {
		if img, again, err := j.verify(ctx, j.openHistory(), nil); err != nil || again == "" {
			return img, err
		}
	}
	before := make(chan string, 1)
	go func() { before <- j.named(ctx, miss) }()
	b, err := j.o.connect(ctx, j.store, j.recipe.Platform)
	if err != nil {
		return Image{}, err
	}
	saving := false
	defer func() {
		if !saving {
			b.Close()
		}
	}()
	to := j.sink()
	shared := j.sharedCache(ctx, b)
	res, err := j.solve(ctx, b, to, shared.all())
	shared.release()
	if err != nil {
		return Image{}, err
	}
	nameBefore := <-before
	superseded := make(chan git.Revision, 1)
	go func() { superseded <- j.superseded(ctx) }()
	built, err := j.adopt(ctx, res, to)
	if err != nil {
		return Image{}, err
	}
	img := j.image(OutcomeBuilt, cache.Record{ImageID: built.ID, ConfigDigest: res.ConfigDigest,
		ManifestDigest: res.ManifestDigest, Descriptor: res.Descriptor, Prewarmed: j.ask.prewarm})
	info := b.Info()
	img.Builder, img.Fetch, img.Delivery, img.Reason = &info, &res.Fetch, &res.Delivery,
		reason(miss, nameBefore, built.ID)
	img.BuildRef = j.o.settings.buildRef(info, res.Ref)
	img.Ignored, img.Cache = res.Ignored, shared.receipt()
	img.Warnings = slices.Concat(warnings, remarks(b), shared.warnings, res.Warnings,
		built.warnings)
	if res.ImportFailed != nil {
		img.Cache = nil
		img.Warnings = append(img.Warnings,
			fmt.Sprintf("built a second time, without the build cache, which could not be read: %v",
				res.ImportFailed))
	}
	if err := failpoint.At(ctx, failpoint.Recorded,
		j.record(res, built, to.layers, info)); err != nil {
		img.Warnings = append(img.Warnings,
			fmt.Sprintf("not remembered, so the next call builds again: %v", err))
	}
	if saving = (shared.kind != BuildCacheOff || len(j.caches.to) > 0) &&
		(res.Graph != nil || res.ImportFailed != nil); saving {
		j.save(ctx, b, res, shared)
	}
	unlock() // nobody else has to wait for the git server
	img.SupersededBy = <-superseded
	return img, nil
}

// lock serialises the processes that want this key. Without a cache folder there is nothing to lock
// with and nothing to remember in; the build goes on and says so.
func (j *job) lock(ctx context.Context) (unlock func(), warnings []string, err error) {
	dir, err := j.o.records()
	if err == nil {
		unlock, err = dir.Lock(ctx, j.recipe.key(), 0)
	}
	if errors.Is(err, ErrLockTimeout) {
		j.o.log.Info(fmt.Sprintf("local-build: waiting for another process that builds %s",
			j.recipe.reference()))
		unlock, err = dir.Lock(ctx, j.recipe.key(), j.o.settings.lockWait)
	}
	switch {
	case err == nil:
		return unlock, nil, nil
	case errors.Is(err, ErrLockTimeout), ctx.Err() != nil:
		return nil, nil, err
	default:
		return func() {}, []string{fmt.Sprintf("building without a lock: %v", err)}, nil
	}
}

func (j *job) solve(ctx context.Context, b solver, to *sink,
	imports []buildkit.CacheEntry) (buildkit.Result, error) {
	platform, err := resolver.ParsePlatform(j.recipe.Platform)
	if err != nil {
		return buildkit.Result{}, err
	}
	rev, err := git.ParseRevision(j.recipe.Revision)
	if err != nil && j.tree == nil {
		return buildkit.Result{}, err
	}
	j.o.log.Info("local-build: solving " + j.source())
	j.told.emit(Event{Type: EventFetching})
	begun := time.Now()
	res, err := b.Solve(ctx, buildkit.Request{
		Remote: j.template.Remote, Revision: rev, Tree: j.tree,
		Subdir: j.template.Subdir, Dockerfile: j.template.Dockerfile, Target: j.template.Target,
		Platform: platform, Labels: j.recipe.labels(),
		Provenance: buildkit.Provenance(j.recipe.Provenance),
		Reference:  j.recipe.temporary(j.o.owner), Name: j.recipe.reference(),
		Token: j.o.creds.For(j.template.Remote), AllowedFrontends: j.o.frontends(),
		NoCache: j.ask.noCache, Pull: j.ask.pull, CacheImports: imports,
		Progress: j.progress(), StallAfter: j.o.settings.stallAfter,
	}, to)
	if err = failpoint.At(ctx, failpoint.Delivered, err); err != nil {
		j.discard(ctx, to)
		return buildkit.Result{}, j.gone(ctx, rev, err)
	}
	j.durations.Fetch, j.durations.Solve, j.durations.Deliver = ms(res.FetchTime),
		ms(res.SolveTime), ms(res.DeliverTime)
	j.o.log.Info(fmt.Sprintf("local-build: build done in %s",
		time.Since(begun).Round(time.Millisecond)))
	return res, nil
}

// gone explains a fetch that failed because the branch was moved away from the commit in the
// meantime. It never leads to another commit being built: the caller asks again if it wants the new
// one.
func (j *job) gone(ctx context.Context, rev git.Revision, err error) error {
	if !errors.Is(err, ErrFetch) {
		return err
	}
	if head := j.superseded(ctx); !head.IsZero() {
		return fmt.Errorf(
			"%w; the branch has moved from %s to %s meanwhile: ask again to build that", err,
			rev.Short(), head.Short(),
		)
	}
	return err
}

// superseded is the branch's head if it is no longer what was built, zero if it is or if nobody
// knows.
func (j *job) superseded(ctx context.Context) git.Revision {
	if !j.ask.head() {
		return git.Revision{}
	}
	// The image is there: nobody waits long to hear that a newer one could be.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	head, err := j.o.heads.Head(ctx, j.template.Remote, j.template.Ref, "")
	if err != nil || head.Revision.String() == j.recipe.Revision {
		return git.Revision{}
	}
	return head.Revision
}

// record is written last: what stands in it has been verified.
func (j *job) record(res buildkit.Result, built builtImage, layers []string,
	by buildkit.Info) error {
	dir, err := j.o.records()
	if err != nil {
		return err
	}
	return dir.Put(cache.Record{
		Key: j.recipe.key(), Line: j.recipe.line(),
		Store: j.store.Endpoint(), StoreKind: string(built.kind),
		Name: j.template.Name, Reference: j.recipe.reference(), ImageID: built.ID,
		ConfigDigest: res.ConfigDigest, ManifestDigest: res.ManifestDigest,
		Descriptor: res.Descriptor,
		Revision:   j.recipe.Revision, Tree: j.recipe.Tree, Labels: j.recipe.Labels,
		Provenance: j.recipe.Provenance, Ref: j.template.Ref.String(),
		Repository: j.recipe.Repository,
		Platform:   j.recipe.Platform, Size: built.Size, Layers: layers, BuiltAt: time.Now().UTC(),
		Prewarmed: j.ask.prewarm,
		Builder:   cache.Builder{Kind: string(by.Kind), Endpoint: by.Endpoint, Version: by.Version},
	})
}

func (j *job) image(outcome Outcome, rec cache.Record) Image {
	rev, _ := git.ParseRevision(j.recipe.Revision)
	return Image{
		Schema: schemaVersion, Name: j.template.Name, Mode: resolver.ModeLocalBuild,
		Outcome:   outcome,
		Reference: j.recipe.reference(), ID: rec.ImageID, Revision: rev,
		Repository: j.repository(), Tree: j.recipe.Tree, Platform: j.recipe.Platform,
		ConfigDigest: rec.ConfigDigest, ManifestDigest: rec.ManifestDigest,
		Descriptor: copied(rec.Descriptor),
		Receipt:    Receipt{Prewarmed: rec.Prewarmed, Durations: j.durations},
	}
}
