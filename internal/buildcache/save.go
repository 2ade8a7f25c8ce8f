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
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/moby/buildkit/client/ociindex"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/span"
)

// SpanSave is the name of a save's span, from the build's end, or the start of the save's process.
const SpanSave = "save cache"

// saveTimeout bounds the saving of one build's cache: long enough for gigabytes, and for a few that
// wait before it.
const saveTimeout = time.Hour

// saveStall is how long the builder may report nothing about a save, such as while it sends a
// layer. A registry that hangs keeps others from being saved for no longer.
const saveStall = 15 * time.Minute

// Save exports the build's cache in the background, if there is anything to export, and repairs the
// local folder if the builder could not read it: in another process if there is to be one, and
// otherwise in this one, whose save the connection is then. A failure is logged. Nothing is
// exported of a pull request: who believes a cache believes all of its authors.
func (o *Offer) Save(ctx context.Context, res buildkit.Result) {
	wanted := o.place != Off || len(o.request.Entries.To) > 0
	if !wanted || o.request.Recipe.PullRequest != 0 || res.Graph == nil && res.ImportFailed == nil {
		return
	}
	t, err := o.newTask(res)
	if err != nil {
		o.caches.logFailure(t, err)
		return
	}
	if o.caches.Start != nil {
		if err = o.caches.handOver(ctx, t); err == nil {
			return
		}
		o.caches.Log.Warn(fmt.Sprintf("%s: waiting for the build cache to be saved, since no "+
			"other process can do that: %s", t.Name, o.caches.Redact(err.Error())))
	}
	s := newSave(o.caches, t, o.builder)
	_, s.span = span.Start(ctx, SpanSave)
	o.builder = nil
	o.caches.queue.add(ctx, t.key(), job{run: func(ctx context.Context) {
		defer s.builder.Close()
		_ = s.runAlone(ctx) // it has logged the error
	}, drop: func(reason string) {
		_ = s.builder.Close()
		s.logSkip(reason)
		s.span.End(nil)
	}})
}

// save is the export of one build's cache.
type save struct {
	task
	caches  *Caches
	builder builder.Builder
	span    span.Span // none if the process is the save's own
	report  Report    // nil until something is exported
}

func newSave(c *Caches, t task, b builder.Builder) *save {
	return &save{task: t, caches: c, builder: b}
}

// runAlone is run while no other process has a save with the same key. Without a cache folder
// nobody else is looked for.
func (s *save) runAlone(ctx context.Context) error {
	if dir, err := s.caches.Records(); err == nil {
		if unlock, err := dir.Lock(ctx, lockSave+s.key(), saveTimeout); err == nil {
			defer unlock()
		}
	}
	return s.run(ctx)
}

// run saves, and logs how that ends.
func (s *save) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, saveTimeout,
		fmt.Errorf("not done within %s", saveTimeout))
	defer cancel()
	begun := time.Now()
	saved, err := s.export(s.span.In(ctx))
	s.span.End(err)
	if s.report != nil {
		s.report.End(err)
	}
	switch {
	// the very error, where nothing else was given as the cause
	case err != nil && context.Cause(ctx) == context.Canceled: //nolint:errorlint // see above
		s.logSkip("broken off")
	case err != nil:
		s.caches.logFailure(s.task, err)
	case saved:
		s.caches.Log.Info(fmt.Sprintf("local-build: build cache saved in %s for %s",
			time.Since(begun).Round(time.Millisecond), s.Name))
	}
	return err
}

func (c *Caches) logFailure(t task, err error) {
	c.Log.Warn(fmt.Sprintf("%s: the build cache was not saved: %s "+
		"(PINION_CACHE=off does without it)", t.Name, c.Redact(err.Error())))
}

func (s *save) logSkip(reason string) {
	s.caches.Log.Info(fmt.Sprintf("local-build: the build cache of %s was not saved: %s",
		s.Reference, reason))
}

// announce says that there is something to export. The progress is reported from then on.
func (s *save) announce(what *buildkit.CacheSave) {
	s.caches.Log.Info(fmt.Sprintf("local-build: saving the build cache of %s; the image can be "+
		"used already", s.Reference))
	if s.report == nil {
		s.report = s.caches.Report(s.Save)
	}
	what.Progress = s.report.Progress
}

// export saves to all places. One that fails does not keep the others from being written.
func (s *save) export(ctx context.Context) (saved bool, err error) {
	var folder *cache.BuildCache
	if s.Place == Local {
		if folder, err = s.folder(); err != nil {
			return false, err
		}
		if s.Repair {
			if err := folder.Repair(ctx); err != nil {
				return false, err
			}
		}
	}
	if len(s.Graph) == 0 {
		return false, nil
	}
	what, err := s.what()
	if err != nil {
		return false, err
	}
	var failures error
	for _, to := range s.To {
		s.announce(&what)
		failures = errors.Join(failures, s.toEntry(ctx, what, to))
		saved = true
	}
	switch s.Place {
	case Registry:
		saved, err = true, s.toRegistry(ctx, what)
	case Local:
		var written bool
		written, err = s.toFolder(ctx, folder, what)
		saved = saved || written
	}
	return saved, errors.Join(failures, err)
}

// folder opens the line's folder in the cache folder.
func (s *save) folder() (*cache.BuildCache, error) {
	dir, err := s.caches.Records()
	if err != nil {
		return nil, err
	}
	return dir.BuildCache(s.Line)
}

// what returns the export without its place, and with the content of the caller's folders.
func (s *save) what() (buildkit.CacheSave, error) {
	graph, err := s.graph()
	what := buildkit.CacheSave{Graph: graph, Imports: slices.Concat(s.Imports, s.Named),
		Stores: map[string]content.Store{}, StallAfter: saveStall}
	for _, e := range s.Named {
		if dir := e.Attrs["src"]; err == nil && e.Type == "local" {
			what.Stores[dir], err = contentlocal.NewStore(dir)
		}
	}
	return what, err
}

// toRegistry writes one reference after the other, so that the line's tag, the last, never names
// what is not there.
func (s *save) toRegistry(ctx context.Context, what buildkit.CacheSave) error {
	s.announce(&what)
	to := cache.NewRegistryCache(s.Repository+"/"+s.Image, s.Line)
	for _, e := range entries(to.Exports(s.Revision)) {
		what.Exports = []buildkit.CacheEntry{e}
		if _, err := s.builder.SaveCache(ctx, what); err != nil {
			return err
		}
	}
	return nil
}

// toFolder writes into the line's folder and trims the cache folder.
func (s *save) toFolder(
	ctx context.Context, folder *cache.BuildCache, what buildkit.CacheSave,
) (saved bool, err error) {
	export := func(ctx context.Context, to cache.Export) (ocispecs.Descriptor, error) {
		saved = true
		s.announce(&what)
		what.Exports = entries([]cache.BuildKitEntry{to.Entry})
		what.Stores = maps.Clone(what.Stores)
		what.Stores[to.Folder] = to.Store
		return s.builder.SaveCache(ctx, what)
	}
	if err := folder.Save(ctx, s.Name, s.Revision, s.NoCache, export); err != nil {
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
