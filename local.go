package pinion

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/buildcache"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/failpoint"
	"git.moleculesai.app/molecule-ai/pinion/internal/heartbeat"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/span"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// work is a request whose parts are known. It is a value: a step that learns more returns a new
// one.
type work struct {
	request  request
	from     *templates // where the template comes from
	template resolver.Template
	store    *imagestore.Facts
	head     resolver.Head // where the commit is; zero for a tree, and before pin
	recipe   recipe.Recipe // without commit or tree before pin
	entries  buildcache.Entries
	tree     *buildkit.Tree // nil for a commit
	first    bool           // nothing of the recipe's line was built before
	times    Durations
}

// local finds the image of the template's current commit, or joins the build of it.
func (o *Orchestrator) local(
	ctx context.Context, from *templates, t resolver.Template, req request,
) (*Call, error) {
	w, err := o.prepare(ctx, from, t, req)
	if err != nil {
		return nil, err
	}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	miss := req.bypass()
	probe := verify.Begin(probing, o.desk.At(w.store.Store), o.records, w.recipe,
		miss.IsHit() && req.followsHead())
	if w, err = o.pin(ctx, w, probe.Dialect()); err != nil {
		return nil, err
	}
	w.first = probe.First()
	var rec cache.Record
	if miss.IsHit() {
		looking, s := span.Start(ctx, spanVerify)
		rec, miss, err = probe.Hit(looking, w.recipe)
		s.Text("pinion.cause", string(miss.Cause))
		if s.End(err); err != nil {
			return nil, err
		}
	}
	if miss.IsHit() {
		o.logHit(w)
		probe.Mark(rec, req.followsHead())
		if w.tree == nil {
			probe.LearnDialect(ctx, w.head.Dialect)
		}
		img := w.image(OutcomeHit, rec)
		if req.followsHead() {
			img.Warnings = append(img.Warnings, probe.RestoreLatest(ctx, w.recipe)...)
		}
		return o.withPush(w, o.builds.hit(ctx, req, w.resolution(), img)), nil
	}
	resolved := w.resolution()
	resolved.Reason, resolved.Cause = miss.Text, string(miss.Cause)
	c, err := o.builds.join(ctx, req.sharing(w.recipe.Key()), req, resolved,
		func(ctx context.Context, b *Build) (Image, error) { return o.build(ctx, w, miss, b) })
	if err != nil {
		return nil, err
	}
	return o.withPush(w, c), nil
}

// prepare checks the request and opens the store. The recipe lacks the commit.
func (o *Orchestrator) prepare(
	ctx context.Context, from *templates, t resolver.Template, req request,
) (work, error) {
	begun := time.Now()
	if err := recipe.CheckLabels(req.labels); err != nil {
		return work{}, err
	}
	provenance, err := req.provenance()
	if err != nil {
		return work{}, err
	}
	entries, err := buildcache.ParseEntries(req.cacheFrom, req.cacheTo)
	if err != nil {
		return work{}, err
	}
	if req.isTree && !req.pin.Revision.IsZero() {
		return work{},
			fmt.Errorf("%w: a commit and a working tree were asked for; give one of them",
				ErrInvalidInput)
	}
	if err := req.checkPullRequest(t); err != nil {
		return work{}, err
	}
	store, err := o.store()
	if err != nil {
		return work{}, imagestore.StoreFailure(err)
	}
	w := work{request: req, from: from, template: t, store: imagestore.NewFacts(store),
		entries: entries}
	platform, err := o.platform(ctx, w.store, t)
	if err != nil {
		return work{}, err
	}
	w.recipe = o.recipe(t, platform).WithLabels(req.labels).WithProvenance(string(provenance)).
		OfPullRequest(req.pin.PullRequest)
	if req.isTree {
		w.recipe = w.recipe.OfTree(recipe.UnknownTree)
	}
	if req.isPush {
		if err := checkPush(t, req); err != nil {
			return work{}, err
		}
	}
	w.times.Resolve = ms(time.Since(begun))
	return w, nil
}

// pin asks the git server for the commit, or reads the working tree. The git server is asked with
// the caller's own credential before any record is believed.
func (o *Orchestrator) pin(
	ctx context.Context, w work, hint resolver.Dialect,
) (_ work, err error) {
	ctx, s := span.Start(ctx, spanLookUp)
	defer s.Done(&err)
	begun := time.Now()
	if w.request.isTree {
		tree, err := buildkit.ReadTree(ctx, w.request.path, buildkit.TreeRequest{
			Subdir: w.template.Subdir, Dockerfile: w.template.Dockerfile,
			AllowedFrontends: o.frontends(w), Args: w.template.Args,
		})
		if err != nil {
			return w, err
		}
		w.tree, w.recipe = tree, w.recipe.OfTree(tree.Digest().String())
	} else {
		head, err := resolver.Commit(ctx, w.from.heads, w.template, w.request.pin, hint)
		if err = failpoint.At(ctx, failpoint.LookedUp, err); err != nil {
			return w, err
		}
		w.head, w.recipe = head, w.recipe.At(head.Revision)
	}
	w.times.Lookup = ms(time.Since(begun))
	return w, nil
}

// build makes the image under the key's lock.
func (o *Orchestrator) build(
	ctx context.Context, w work, miss verify.Miss, b *Build,
) (Image, error) {
	img, moved, err := o.buildLocked(ctx, w, miss, b)
	if err == nil && moved != nil {
		// The lock is free by now, so no other process waits for the git server.
		img.SupersededBy = <-moved
	}
	return img, err
}

// buildLocked builds under the lock. moved receives the branch's head if it has moved; it is nil if
// another process was first.
func (o *Orchestrator) buildLocked(
	ctx context.Context, w work, miss verify.Miss, b *Build,
) (img Image, moved <-chan git.Revision, err error) {
	if err := w.checkProvenance(ctx); err != nil {
		return Image{}, nil, err
	}
	unlock, warnings, err := o.lock(ctx, w.recipe, b)
	if err != nil {
		return Image{}, nil, err
	}
	defer unlock()
	if err := failpoint.At(ctx, failpoint.Locked, nil); err != nil {
		return Image{}, nil, err
	}
	if w.request.bypass().IsHit() {
		looking, s := span.Start(ctx, spanVerify)
		rec, miss, err := verify.Hit(looking, o.desk.At(w.store.Store), o.records, w.recipe)
		s.End(err)
		if err != nil {
			return Image{}, nil, err
		}
		if miss.IsHit() {
			o.logHit(w)
			return w.image(OutcomeHit, rec), nil, nil
		}
	}
	predecessor := verify.FindPredecessor(ctx, w.store.Store, w.recipe, miss)
	bk, err := o.connectFor(ctx, w)
	if err != nil {
		return Image{}, nil, err
	}
	offer := o.caches.Offer(ctx, buildcache.Request{Build: b.id, Name: w.template.Name,
		Recipe: w.recipe, Entries: w.entries, NoCache: w.request.noCache}, bk.Builder)
	defer offer.Done()
	arrival := verify.NewArrival(w.store, o.records, w.recipe, o.owner)
	res, err := o.solve(ctx, w, bk, offer, arrival, b)
	if err != nil {
		return Image{}, nil, err
	}
	before := <-predecessor
	moved = o.startSuperseded(ctx, w)
	adopting, s := span.Start(ctx, spanAdopt)
	got, err := arrival.Adopt(adopting, res, w.request.followsHead())
	if s.End(err); err != nil {
		return Image{}, nil, err
	}
	rec := arrival.Record(got, res, bk.Info())
	rec.StoreID = storeID(ctx, w.store)
	rec.Name, rec.Ref, rec.Prewarmed = w.template.Name, w.template.RefName(), w.request.prewarm
	if w.request.isPull {
		rec.Ref = w.head.Ref.String()
	}
	rec.Dialect = w.head.Dialect.String()
	rec.Checks = recordChecks(b.found())
	img = w.receipt(rec, res, bk.Info(), offer)
	img.Reason = verify.Reason(miss, before, got.ID)
	img.BuildRef = o.builders.BuildRef(bk.Info(), res.Ref)
	img.Warnings = slices.Concat(warnings, bk.Remarks, offer.Warnings(res), res.Warnings,
		checkWarnings(img.Checks), got.Warnings, o.remember(ctx, w, rec))
	offer.Save(ctx, res)
	return img, moved, nil
}

// connectFor connects to the builder for a build.
func (o *Orchestrator) connectFor(ctx context.Context, w work) (_ builder.Connection, err error) {
	ctx, s := span.Start(ctx, spanConnect)
	defer s.Done(&err)
	bk, err := o.connect(ctx, w.store, w.recipe.Platform)
	if err == nil {
		s.Text("pinion.builder.kind", string(bk.Info().Kind))
		s.Text("pinion.builder.version", bk.Info().Version)
	}
	return bk, err
}

// checkProvenance refuses before the build what the store cannot hold after it.
func (w work) checkProvenance(ctx context.Context) error {
	if w.recipe.Provenance == "" {
		return nil
	}
	info, err := w.store.Info(ctx)
	if err != nil {
		return imagestore.StoreFailure(err)
	}
	if info.Kind == imagestore.KindClassic {
		return errdef.In(errdef.IndexNeeded, "", fmt.Errorf("%w: an image with provenance is an "+
			"index, and the classic image store of %s cannot hold one", ErrInvalidInput,
			w.store.Store.Endpoint()))
	}
	return nil
}

// solve hands the pinned source to the builder, which delivers the image into the arrival.
func (o *Orchestrator) solve(
	ctx context.Context, w work, bk builder.Connection, offer *buildcache.Offer,
	arrival *verify.Arrival, b *Build,
) (buildkit.Result, error) {
	defer offer.Release()
	platform, err := resolver.ParsePlatform(w.recipe.Platform)
	if err != nil {
		return buildkit.Result{}, err
	}
	o.announce(w, bk, platform, b)
	o.log.Info("local-build: solving " + w.source() + w.occasion())
	info := bk.Info()
	b.emit(Event{Type: EventFetching, Builder: &info})
	beats := heartbeat.Start(func(h heartbeat.Beat) { b.stillBuilding(o.log, h) })
	defer beats.Stop()
	begun := time.Now()
	t, r := w.template, w.recipe
	cred := w.from.creds.For(w.head.Remote)
	res, err := bk.Solve(ctx, buildkit.Request{
		Remote: w.head.Remote, Revision: r.Revision, Tree: w.tree,
		Subdir: t.Subdir, Dockerfile: t.Dockerfile, Target: t.Target, Platform: platform,
		KeepGitDir: t.KeepGitDir, LFS: w.from.lfs(t),
		Submodules: t.Submodules, AskSubmodule: w.from.submodule, Hidden: w.from.hidden,
		AllowBasePlatform: t.AllowBasePlatform,
		Anonymous:         w.request.isPull && !t.PullRequests.Credentials,
		CacheScope:        r.CacheScope(),
		Args:              t.Args, OnArgs: o.noticeArgs(t.Name, b),
		Labels: r.Labels(), Provenance: buildkit.Provenance(r.Provenance),
		Reference: arrival.Name(), Name: r.Reference(),
		Token: cred.Token, AuthHeader: cred.Header(), AllowedFrontends: o.frontends(w),
		NoCache: w.request.noCache, Pull: w.request.pull, CacheImports: offer.Imports(),
		OnCheck: b.check, Progress: b.progress(beats.Observe, o.settings.progress),
		StallAfter: o.settings.stallAfter.Duration,
		Timeout:    cmp.Or(t.Timeout, o.settings.timeout.Duration),
	}, arrival)
	if err = failpoint.At(ctx, failpoint.Delivered, err); err != nil {
		arrival.Discard(ctx)
		return buildkit.Result{}, o.explainMoved(ctx, w, err)
	}
	o.log.Info(fmt.Sprintf("local-build: build done in %s for %s",
		time.Since(begun).Round(time.Millisecond), t.Name))
	return res, nil
}

// frontends are the images that `# syntax=` may name besides docker/dockerfile.
func (o *Orchestrator) frontends(w work) []string {
	return slices.Concat(o.settings.frontends, w.from.catalogue.Frontends())
}

// submodule asks for the repository of a submodule, with the credential for its host.
func (f *templates) submodule(ctx context.Context, at git.Remote) (buildkit.Access, error) {
	head, err := f.heads.Head(ctx, at, git.HEAD, resolver.Dialect{})
	cred := f.creds.For(head.Remote)
	return buildkit.Access{
		Remote: head.Remote, Token: cred.Token, AuthHeader: cred.Header(),
	}, err
}

// remember writes the record last, when all of its facts are verified.
func (o *Orchestrator) remember(
	ctx context.Context, w work, rec cache.Record,
) (warnings []string) {
	_, s := span.Start(ctx, spanRecord)
	dir, err := o.records()
	if err == nil {
		err = dir.Put(rec)
	}
	if err == nil {
		verify.MarkBuilt(dir, rec, w.request.followsHead())
	}
	s.End(err)
	if err = failpoint.At(ctx, failpoint.Recorded, err); err != nil {
		return []string{fmt.Sprintf("not remembered, so the next call builds again: %v", err)}
	}
	return nil
}
