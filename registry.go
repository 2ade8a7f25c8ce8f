package pinion

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/publish"
	"git.moleculesai.app/molecule-ai/pinion/internal/span"
	"git.moleculesai.app/molecule-ai/pinion/internal/stall"
	"git.moleculesai.app/molecule-ai/pinion/internal/transfer"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// pull brings the image from the registry in registry mode. Neither a git server nor a builder is
// asked.
func (o *Orchestrator) pull(ctx context.Context, t resolver.Template, req request) (*Call, error) {
	if err := checkPull(req); err != nil {
		return nil, err
	}
	store, platform, err := o.storeFor(ctx, t)
	if err != nil {
		return nil, err
	}
	ref := o.source.Reference(t.Name)
	if _, err := reference.ParseNormalizedNamed(ref); err != nil {
		return nil, fmt.Errorf("%w: %s gives %q, which is no image reference: %w", ErrInvalidInput,
			resolver.RegistryEnv, ref, err)
	}
	img := Image{Schema: schemaVersion, Name: t.Name, Mode: o.source.Mode, Outcome: OutcomePulled,
		Reference: ref, Platform: platform,
		Receipt: Receipt{Reason: "asked to pull", Prewarmed: req.prewarm}}
	resolved := Event{Type: EventResolved, Name: t.Name, Reference: ref, Prewarmed: req.prewarm,
		Cause: string(verify.CauseAsked)}
	var present string
	if !req.pull {
		id, miss, err := verify.Present(ctx, store, ref, platform)
		switch {
		case err != nil:
			return nil, err
		case !miss.IsHit():
			img.Reason, resolved.Cause = miss.Text, string(miss.Cause)
		case resolver.IsMoving(ref):
			present, img.Reason = id, "its tag names another image now"
			resolved.Cause = string(verify.CauseMoving)
		default:
			img.Outcome, img.ID, img.Reason = OutcomeHit, id, ""
			return o.builds.hit(ctx, req, resolved, img), nil
		}
	}
	key := fmt.Sprintf("pull %s %s %t %t", ref, platform, req.pull, req.prewarm)
	return o.builds.join(ctx, key, req, resolved,
		func(ctx context.Context, b *Build) (Image, error) {
			return o.fetchImage(ctx, store, img, present, b)
		})
}

// storeFor returns the image store, and the platform of a template.
func (o *Orchestrator) storeFor(
	ctx context.Context, t resolver.Template,
) (imagestore.Store, string, error) {
	store, err := o.store()
	if err != nil {
		return nil, "", imagestore.StoreFailure(err)
	}
	platform, err := o.platform(ctx, imagestore.NewFacts(store), t)
	return store, platform, err
}

// checkPull refuses what only a build can do.
func checkPull(req request) error {
	if req.isPush {
		return fmt.Errorf("%w: in registry mode nothing is built, so there is nothing to push; "+
			"unset %s to build", ErrInvalidInput, resolver.RegistryEnv)
	}
	if req.shapesBuild() {
		return fmt.Errorf("%w: in registry mode nothing is built, so there is no commit, no "+
			"working tree, no build cache, no label and no attestation to choose; unset %s to "+
			"build", ErrInvalidInput, resolver.RegistryEnv)
	}
	return nil
}

// fetchImage pulls the image and looks at what came. If the pull fails and an image was present, by
// its ID, that one is used: a registry's outage must not stop those who have an image. Of a prewarm
// that would hide that the new image is still to come.
func (o *Orchestrator) fetchImage(
	ctx context.Context, store imagestore.Store, img Image, present string, b *Build,
) (Image, error) {
	begun := time.Now()
	o.log.Info(fmt.Sprintf("Provisioner: registry mode → pulling %s for runtime %s",
		img.Reference, b.name))
	pull := func(ctx context.Context, g *stall.Guard) error {
		come := transfer.New("pull "+img.Reference, "pull "+img.Reference, "receiving layers",
			func(s *client.SolveStatus) {
				b.emit(Event{Type: EventDelivering, Bytes: s.Statuses[0].Current})
			})
		return store.Pull(ctx, img.Reference, img.Platform, func(p imagestore.Progress) {
			watch(g, p)
			come.Add(p.Bytes - come.Bytes())
			if p.Status != "" {
				o.log.Debug(p.Status)
				b.emit(Event{Type: EventLog, Text: b.clean(p.Status)})
			}
		})
	}
	failed := o.transfer(ctx, "pull", img.Reference, pull)
	if failed != nil && (present == "" || img.Prewarmed || ctx.Err() != nil) {
		return Image{}, imagestore.Failure(failed)
	}
	img.Durations.Pull = ms(time.Since(begun))
	id, miss, err := verify.Present(ctx, store, img.Reference, img.Platform)
	switch {
	case err != nil:
		return Image{}, err
	case !miss.IsHit() && failed != nil:
		return Image{}, imagestore.Failure(failed)
	case !miss.IsHit():
		return Image{}, fmt.Errorf("%w: %s", ErrVerification, miss)
	}
	img.ID = id
	if id == present {
		img.Outcome, img.Reason = OutcomeHit, ""
	}
	if failed != nil {
		img.Warnings = []string{fmt.Sprintf("%s was not pulled again, so the image that is there "+
			"is used, which may be out of date: %v", img.Reference, failed)}
	}
	return img, nil
}

// publishedDigest returns the digest of the manifest that a reference names in its registry.
func (o *Orchestrator) publishedDigest(ctx context.Context, ref string) (string, error) {
	store, err := o.store()
	if err != nil {
		return "", imagestore.StoreFailure(err)
	}
	engine, ok := store.(imagestore.RegistryReader)
	if !ok {
		return "", fmt.Errorf("%w: the image store %s pulls nothing", ErrInvalidInput,
			store.Endpoint())
	}
	digest, err := engine.PublishedDigest(ctx, ref)
	return digest, imagestore.Failure(err)
}

// given finds the image that the catalogue gives for a template. Nothing but the image store is
// asked, and nothing is pulled.
func (o *Orchestrator) given(ctx context.Context, t resolver.Template, req request) (*Call, error) {
	if req.pull || req.isPush || req.shapesBuild() {
		return nil, fmt.Errorf("%w: the catalogue gives the image of %s, so nothing is built: "+
			"there is no commit, no working tree, no cache, no label and no attestation to "+
			"choose, and nothing to push", ErrInvalidInput, t.Name)
	}
	store, platform, err := o.storeFor(ctx, t)
	if err != nil {
		return nil, err
	}
	found, err := verify.Given(ctx, store, t.Given, platform)
	switch {
	case errors.Is(err, imagestore.ErrNotFound):
		err := fmt.Errorf("%w: the image %s that the catalogue gives is not in the image store %s",
			ErrNotFound, t.Given, store.Endpoint())
		return nil, &Error{Name: t.Name, Origin: OriginCatalogue,
			Err: errdef.In(errdef.GivenMissing, t.Given, err)}
	case err != nil:
		return nil, imagestore.StoreFailure(err)
	case !resolver.SamePlatform(found.Platform, platform):
		err := fmt.Errorf("%w: the image %s that the catalogue gives is for %s, not for %s: set "+
			"platform in its entry", ErrInvalidInput, t.Given, found.Platform, platform)
		return nil, &Error{Name: t.Name, Origin: OriginCatalogue, Err: err}
	}
	resolved := Event{Type: EventResolved, Name: t.Name, Reference: t.Given}
	return o.builds.hit(ctx, req, resolved, Image{
		Schema: schemaVersion, Name: t.Name, Mode: o.source.Mode, Outcome: OutcomeGiven,
		Reference: t.Given, ID: found.ID, Platform: platform,
	}), nil
}

// checkPush refuses before the build what could not be pushed after it.
func checkPush(t resolver.Template, req request) error {
	if req.isTree {
		return fmt.Errorf("%w: a working tree is of no commit, so its image is not for "+
			"others; push the commit", ErrInvalidInput)
	}
	if strings.Contains(req.pushTo, "@") {
		return fmt.Errorf("%w: the registry to push to has an @ in it; credentials come from "+
			"the Docker config", ErrInvalidInput)
	}
	ref := registryName(req.pushTo, t.Name)
	if _, err := reference.ParseNormalizedNamed(ref); err != nil {
		return fmt.Errorf("%w: the registry to push to gives %q, which is no image reference:"+
			" %w", ErrInvalidInput, ref, err)
	}
	return nil
}

// registryName returns the name, with the tag latest, that registry mode gives the template.
func registryName(prefix, name string) string {
	return resolver.RegistrySource{Mode: resolver.ModeRegistry, Prefix: prefix}.Reference(name)
}

// transfer runs a pull or a push of ref. It ends one that makes no progress for as long as a build
// may go without.
func (o *Orchestrator) transfer(
	ctx context.Context, op, ref string, do func(context.Context, *stall.Guard) error,
) (err error) {
	ctx, s := span.Start(ctx, op)
	defer s.Done(&err)
	s.Text("pinion.reference", ref)
	after := o.settings.stallAfter.Duration
	stalled := &imagestore.Error{Op: op, Origin: imagestore.OriginRegistry, Ref: ref,
		Err: errdef.In(errdef.TransferStalled, "",
			fmt.Errorf("%w: nothing moved for %s", ErrStalled, after))}
	guarded, guard := stall.Watch(ctx, after, stalled)
	defer guard.Release()
	err = do(guarded, guard)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(guarded), stalled) {
		return stalled
	}
	return err
}

// watch passes what a store reports to the guard.
func watch(g *stall.Guard, p imagestore.Progress) {
	g.Moved()
	if p.Unpacking {
		g.Pause()
	}
}

// withPush adds the push, if one was asked for, to the end of a call.
func (o *Orchestrator) withPush(w work, c *Call) *Call {
	if w.request.isPush {
		c.push = func(ctx context.Context, img Image) (Image, error) {
			return o.push(ctx, w, img, c.emit)
		}
	}
	return c
}

// push sends a verified image under the key's lock, so that it is neither pushed nor pruned by
// others at the same time. An error that comes after a name was pushed is a [PushError].
func (o *Orchestrator) push(
	ctx context.Context, w work, img Image, emit func(Event),
) (Image, error) {
	unlock, warnings, err := o.lock(ctx, w.recipe, nil)
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	repository := strings.TrimSuffix(registryName(w.request.pushTo, w.template.Name), ":latest")
	names := publish.Names{Pinned: repository + ":" + w.recipe.Tag()}
	if w.request.pin.Revision.IsZero() && !w.request.isPull {
		names.Latest = repository + ":" + w.recipe.LatestTag()
	}
	begun := time.Now()
	report, err := publish.Do(ctx, publish.Image{
		ID: img.ID, Recipe: w.recipe.Labels()[LabelRecipe], Names: names,
		Superseded: func(ctx context.Context) bool {
			return !img.SupersededBy.IsZero() || !o.superseded(ctx, w).IsZero()
		},
	}, func(ctx context.Context, p imagestore.Push) (string, error) {
		return o.pushAs(ctx, w, p, emit)
	})
	for _, p := range report.Pushed {
		img.Pushed = append(img.Pushed, Pushed(p))
	}
	if err != nil {
		if !errors.Is(err, ErrLockTimeout) {
			err = imagestore.Failure(err)
		}
		return Image{}, afterPushes(img.Pushed, err)
	}
	img.Warnings = slices.Concat(img.Warnings, warnings, report.Warnings)
	img.Durations.Push = ms(time.Since(begun))
	return img, nil
}

// pushAs pushes under one name. Commits share names, so the key's lock is not enough. Without a
// cache folder there is no lock, which the key's lock has said already.
func (o *Orchestrator) pushAs(
	ctx context.Context, w work, p imagestore.Push, emit func(Event),
) (digest string, err error) {
	ref := p.Ref
	if dir, err := o.records(); err == nil {
		name := sha256.Sum256([]byte("push " + w.store.Store.Endpoint() + " " + ref))
		unlock, err := dir.Lock(ctx, hex.EncodeToString(name[:]), o.settings.lockWait)
		switch {
		case err == nil:
			defer unlock()
		case errors.Is(err, ErrLockTimeout), ctx.Err() != nil:
			return "", err
		}
	}
	o.log.Info(fmt.Sprintf("local-build: pushing %s", ref))
	emit(Event{Type: EventPushing, Reference: ref})
	sent := transfer.New("push "+ref, "push "+ref, "sending layers", func(s *client.SolveStatus) {
		o.settings.progress(w.template.Name, s)
		emit(Event{Type: EventPushing, Reference: ref, Bytes: s.Statuses[0].Current})
	})
	err = o.transfer(ctx, "push", ref, func(ctx context.Context, g *stall.Guard) (err error) {
		digest, err = w.store.Store.Push(ctx, p, func(p imagestore.Progress) {
			watch(g, p)
			sent.Add(p.Bytes - sent.Bytes())
			if p.Status != "" {
				o.log.Debug(p.Status)
			}
		})
		return err
	})
	if err != nil {
		sent.End("not pushed")
		return "", err
	}
	sent.End("")
	return digest, nil
}
