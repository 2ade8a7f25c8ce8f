package pinion

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
)

// What stays of the caches in the cache folder after each build.
const (
	// DefaultCacheKeep is how many commits' caches of a template stay.
	DefaultCacheKeep = 3
	// DefaultCacheMaxSize in bytes is what all of them may take together.
	DefaultCacheMaxSize = 10_000_000_000
)

// saveWithin bounds the saving of one build's cache: long enough for gigabytes, and for a few that wait in line.
const saveWithin = time.Hour

// Close waits until what goes on after Ensure has returned is done, the saving of build caches; if ctx ends sooner,
// it is broken off, which harms nothing, and the error is ctx's. No call of Ensure may be under way.
func (o *Orchestrator) Close(ctx context.Context) error { return o.after.wait(ctx) }

// save has the builder save its cache, after the answer. It takes the builder over and closes it. A failure is
// logged, for there is nobody else to tell.
func (j *job) save(ctx context.Context, b solver, res buildkit.Result, shared *sharedCache) {
	j.o.after.start(ctx, func(ctx context.Context) {
		defer b.Close()
		ctx, cancel := context.WithTimeoutCause(ctx, saveWithin, fmt.Errorf("not done within %s", saveWithin))
		defer cancel()
		begun := time.Now()
		saved, err := j.saveTo(ctx, b, res, shared)
		switch {
		case err != nil && context.Cause(ctx) == context.Canceled: //nolint:errorlint // it is the very error where nobody gave another
			j.o.log.Info(fmt.Sprintf("local-build: the build cache of %s was not saved: broken off", j.recipe.reference()))
		case err != nil:
			j.o.log.Warn(fmt.Sprintf("%s: the build cache was not saved: %s", j.template.Name, j.o.redact.String(err.Error())))
		case saved:
			j.o.log.Info(fmt.Sprintf("local-build: build cache saved in %s", time.Since(begun).Round(time.Millisecond)))
		}
	})
}

func (j *job) saveTo(ctx context.Context, b solver, res buildkit.Result, shared *sharedCache) (saved bool, err error) {
	what := buildkit.CacheSave{Graph: res.Graph, Imports: shared.imports}
	if res.ImportFailed != nil {
		what.Imports = nil
	}
	if shared.kind == BuildCacheRegistry {
		what.Exports = entries(shared.registry.Exports(j.recipe.Revision))
		_, err := j.export(ctx, b, what)
		return err == nil, err
	}
	if res.ImportFailed != nil {
		if err := shared.folder.Forget(ctx); err != nil {
			return false, err
		}
	}
	err = shared.folder.Save(ctx, j.template.Name, j.recipe.Revision, j.ask.noCache, func(ctx context.Context, to cache.Export) (ocispecs.Descriptor, error) {
		saved = true
		what.Exports = entries([]cache.BuildKitEntry{to.Entry})
		what.Stores = map[string]content.Store{to.Folder: to.Store}
		return j.export(ctx, b, what)
	})
	if err != nil {
		return false, err
	}
	dir, err := j.o.records()
	if err != nil {
		return saved, err
	}
	_, err = dir.TrimBuildCaches(ctx, cache.Limits{Keep: DefaultCacheKeep, MaxSize: DefaultCacheMaxSize})
	return saved, err
}

func (j *job) export(ctx context.Context, b solver, what buildkit.CacheSave) (ocispecs.Descriptor, error) {
	j.o.log.Info(fmt.Sprintf("local-build: saving the build cache of %s; the image can be used already", j.recipe.reference()))
	return b.SaveCache(ctx, what)
}
