package pinion

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
)

// What stays of the caches in the cache folder after each build.
const (
	// DefaultCacheKeep is how many commits' caches of a template stay.
	DefaultCacheKeep = cache.DefaultKeep
	// DefaultCacheMaxSize in bytes is what all of them may take together.
	DefaultCacheMaxSize = cache.DefaultMaxSize
)

// saveWithin bounds the saving of one build's cache: long enough for gigabytes, and for a few that
// wait in line.
const saveWithin = time.Hour

// Close waits until what goes on after Ensure has returned is done, the saving of build caches; if
// ctx ends sooner, it is broken off, which harms nothing, and the error is ctx's. No call of Ensure
// may be under way.
func (o *Orchestrator) Close(ctx context.Context) error { return o.after.wait(ctx) }

// save has the builder save its cache, after the answer, and a folder put right that a builder
// could not read. It takes the builder over and closes it. A failure is logged, for there is nobody
// else to tell.
func (j *job) save(ctx context.Context, b solver, res buildkit.Result, shared *sharedCache) {
	notSaved := func(reason string) {
		j.o.log.Info(fmt.Sprintf("local-build: the build cache of %s was not saved: %s",
			j.recipe.reference(), reason))
	}
	do := func(ctx context.Context) {
		defer b.Close()
		ctx, cancel := context.WithTimeoutCause(ctx, saveWithin,
			fmt.Errorf("not done within %s", saveWithin))
		defer cancel()
		begun := time.Now()
		saved, err := j.saveTo(ctx, b, res, shared)
		switch {
		// it is the very error where nobody gave another
		case err != nil && context.Cause(ctx) == context.Canceled: //nolint:errorlint
			notSaved("broken off")
		case err != nil:
			j.o.log.Warn(fmt.Sprintf(
				"%s: the build cache was not saved: %s (%s=off does without it)", j.template.Name,
				j.o.redact.String(err.Error()), EnvBuildCache,
			))
		case saved:
			j.o.log.Info(fmt.Sprintf("local-build: build cache saved in %s",
				time.Since(begun).Round(time.Millisecond)))
		}
	}
	// What goes elsewhere takes the place of nothing.
	line := fmt.Sprintf("%s %q", j.recipe.line(), j.ask.cacheTo)
	j.o.saves.add(ctx, line, saving{do: do, drop: func(reason string) {
		b.Close()
		notSaved(reason)
	}})
}

func (j *job) saveTo(ctx context.Context, b solver, res buildkit.Result,
	shared *sharedCache) (saved bool, err error) {
	if res.ImportFailed != nil && shared.kind == BuildCacheLocal {
		if err := shared.folder.Repair(ctx); err != nil {
			return false, err
		}
	}
	if res.Graph == nil {
		return false, nil
	}
	what := buildkit.CacheSave{Graph: res.Graph, Imports: shared.all(), Stores: shared.stores}
	if res.ImportFailed != nil {
		what.Imports = nil
	}
	// One that cannot be written keeps nothing from the others.
	var failed error
	for _, to := range j.caches.to {
		j.saySaving()
		failed = errors.Join(failed, j.saveNamed(ctx, b, what, to))
		saved = true
	}
	switch shared.kind {
	case BuildCacheOff:
	case BuildCacheRegistry:
		saved, err = true, j.saveToRegistry(ctx, b, what, shared.registry)
	default:
		var inFolder bool
		inFolder, err = j.saveToFolder(ctx, b, what, shared.folder)
		saved = saved || inFolder
	}
	return saved, errors.Join(failed, err)
}

// saveToRegistry goes by one after the other, so that the line's tag, the last, never names what is
// not there.
func (j *job) saveToRegistry(ctx context.Context, b solver, what buildkit.CacheSave,
	registry cache.RegistryCache) error {
	j.saySaving()
	for _, e := range entries(registry.Exports(j.recipe.Revision)) {
		what.Exports = []buildkit.CacheEntry{e}
		if _, err := b.SaveCache(ctx, what); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) saveToFolder(ctx context.Context, b solver, what buildkit.CacheSave,
	folder *cache.BuildCache) (saved bool, err error) {
	export := func(ctx context.Context, to cache.Export) (ocispecs.Descriptor, error) {
		saved = true
		j.saySaving()
		what.Exports = entries([]cache.BuildKitEntry{to.Entry})
		what.Stores = maps.Clone(what.Stores)
		what.Stores[to.Folder] = to.Store
		return b.SaveCache(ctx, what)
	}
	if err := folder.Save(ctx, j.template.Name, j.recipe.Revision, j.ask.noCache,
		export); err != nil {
		return false, err
	}
	dir, err := j.o.records()
	if err == nil {
		_, err = dir.TrimBuildCaches(ctx,
			cache.Limits{Keep: DefaultCacheKeep, MaxSize: DefaultCacheMaxSize})
	}
	return saved, err
}

func (j *job) saySaving() {
	j.o.log.Info(fmt.Sprintf("local-build: saving the build cache of %s; the image can be used "+
		"already", j.recipe.reference()))
}
