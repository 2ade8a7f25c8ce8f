package buildcache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/moby/buildkit/client/ociindex"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/span"
)

// saveTimeout bounds the saving of one build's cache: long enough for gigabytes, and for a few that
// wait before it.
const saveTimeout = time.Hour

// saveStall is how long the builder may report nothing about a save, such as while it sends a
// layer. A registry that hangs keeps others from being saved for no longer.
const saveStall = 15 * time.Minute

// Save exports the build's cache in the background, if there is anything to export, and repairs the
// local folder if the builder could not read it. Then the connection is the save's. A failure is
// logged. Nothing is exported of a pull request: who believes a cache believes all of its authors.
func (o *Offer) Save(ctx context.Context, res buildkit.Result) {
	wanted := o.place != Off || len(o.request.Entries.To) > 0
	if !wanted || o.request.Recipe.PullRequest != 0 || res.Graph == nil && res.ImportFailed == nil {
		return
	}
	s := &save{Offer: *o, result: res}
	_, s.span = span.Start(ctx, "save cache")
	o.builder = nil
	// Exports to entries of the caller are queued apart, so they never replace each other.
	var to []string
	for _, e := range o.request.Entries.To {
		to = append(to, fmt.Sprint(e))
	}
	line := fmt.Sprintf("%s %q", o.line(), to)
	o.caches.queue.add(ctx, line, job{run: s.run, drop: func(reason string) {
		_ = s.builder.Close()
		s.logSkip(reason)
		s.span.End(nil)
	}})
}

// save is the export of one build's cache.
type save struct {
	Offer
	result buildkit.Result
	span   span.Span // from the build's end, the wait for other saves included
}

func (s *save) run(ctx context.Context) {
	defer s.builder.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, saveTimeout,
		fmt.Errorf("not done within %s", saveTimeout))
	defer cancel()
	begun := time.Now()
	saved, err := s.export(s.span.In(ctx))
	s.span.End(err)
	switch {
	// the very error, where nothing else was given as the cause
	case err != nil && context.Cause(ctx) == context.Canceled: //nolint:errorlint // see above
		s.logSkip("broken off")
	case err != nil:
		s.caches.Log.Warn(fmt.Sprintf("%s: the build cache was not saved: %s "+
			"(PINION_CACHE=off does without it)", s.request.Name, s.caches.Redact(err.Error())))
	case saved:
		s.caches.Log.Info(fmt.Sprintf("local-build: build cache saved in %s for %s",
			time.Since(begun).Round(time.Millisecond), s.request.Name))
	}
}

func (s *save) logSkip(reason string) {
	s.caches.Log.Info(fmt.Sprintf("local-build: the build cache of %s was not saved: %s",
		s.request.Recipe.Reference(), reason))
}

func (s *save) announce() {
	s.caches.Log.Info(fmt.Sprintf("local-build: saving the build cache of %s; the image can be "+
		"used already", s.request.Recipe.Reference()))
}

// export saves to all places. One that fails does not keep the others from being written.
func (s *save) export(ctx context.Context) (saved bool, err error) {
	if s.result.ImportFailed != nil && s.place == Local {
		if err := s.folder.Repair(ctx); err != nil {
			return false, err
		}
	}
	if s.result.Graph == nil {
		return false, nil
	}
	what := buildkit.CacheSave{Graph: s.result.Graph, Imports: s.Imports(), Stores: s.stores,
		StallAfter: saveStall}
	if s.result.ImportFailed != nil {
		what.Imports = nil
	}
	var failures error
	for _, to := range s.request.Entries.To {
		s.announce()
		failures = errors.Join(failures, s.toEntry(ctx, what, to))
		saved = true
	}
	switch s.place {
	case Registry:
		saved, err = true, s.toRegistry(ctx, what)
	case Local:
		var written bool
		written, err = s.toFolder(ctx, what)
		saved = saved || written
	}
	return saved, errors.Join(failures, err)
}

// toRegistry writes one reference after the other, so that the line's tag, the last, never names
// what is not there.
func (s *save) toRegistry(ctx context.Context, what buildkit.CacheSave) error {
	s.announce()
	for _, e := range entries(s.registry.Exports(s.request.Recipe.Revision.String())) {
		what.Exports = []buildkit.CacheEntry{e}
		if _, err := s.builder.SaveCache(ctx, what); err != nil {
			return err
		}
	}
	return nil
}

// toFolder writes into the line's folder and trims the cache folder.
func (s *save) toFolder(ctx context.Context, what buildkit.CacheSave) (saved bool, err error) {
	export := func(ctx context.Context, to cache.Export) (ocispecs.Descriptor, error) {
		saved = true
		s.announce()
		what.Exports = entries([]cache.BuildKitEntry{to.Entry})
		what.Stores = maps.Clone(what.Stores)
		what.Stores[to.Folder] = to.Store
		return s.builder.SaveCache(ctx, what)
	}
	if err := s.folder.Save(ctx, s.request.Name, s.request.Recipe.Revision.String(),
		s.request.NoCache, export); err != nil {
		return false, err
	}
	dir, err := s.caches.Records()
	if err == nil {
		_, err = dir.TrimBuildCaches(ctx, cache.Limits{Keep: cache.DefaultKeep,
			MaxSize: cache.DefaultMaxSize})
	}
	return saved, err
}

// toEntry writes to one entry of the caller.
func (s *save) toEntry(ctx context.Context, what buildkit.CacheSave, to buildkit.CacheEntry) error {
	attrs := maps.Clone(to.Attrs)
	delete(attrs, "tag")
	what.Exports = []buildkit.CacheEntry{{Type: to.Type, Attrs: attrs}}
	if to.Type != "local" {
		_, err := s.builder.SaveCache(ctx, what)
		return err
	}
	dir := attrs["dest"]
	//nolint:gosec // the mode in which buildx makes the folder
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	store, err := contentlocal.NewStore(dir)
	if err != nil {
		return err
	}
	what.Stores = maps.Clone(what.Stores)
	what.Stores[dir] = store
	unlock, err := s.lockFolder(ctx, dir)
	if err != nil {
		return err
	}
	defer unlock()
	desc, err := s.builder.SaveCache(ctx, what)
	if err != nil {
		return err
	}
	return ociindex.NewStoreIndex(dir).Put(desc, ociindex.Tag(cmp.Or(to.Attrs["tag"], "latest")))
}

// lockFolder keeps other saves out of a folder: writers of one blob, and of the index, fail if
// there are two. That holds for processes with the same cache folder, or without one for this
// process.
func (s *save) lockFolder(ctx context.Context, folder string) (unlock func(), err error) {
	path, err := filepath.Abs(folder)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil, err
	}
	if dir, err := s.caches.Records(); err == nil {
		key := sha256.Sum256([]byte("save to " + path))
		unlock, err := dir.Lock(ctx, hex.EncodeToString(key[:]), saveTimeout)
		if err == nil || errors.Is(err, cache.ErrLockTimeout) || ctx.Err() != nil {
			return unlock, err
		}
	}
	s.caches.saving.Lock()
	return s.caches.saving.Unlock, nil
}
