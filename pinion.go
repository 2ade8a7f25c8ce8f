// Package pinion turns a template's name into an image in the local image store, pinned to a Git
// commit, without cloning anything.
//
// An [Orchestrator] asks the git server for the commit, passes the repository pinned at the commit
// to BuildKit, brings the result into the Docker engine's image store and records what it did.
// Asking again costs one request to the git server and one to the image store.
//
// It guarantees that an [Image] it returns in local-build mode was built from the commit in
// Image.Revision, and that this was the head of the template's branch when the call asked. It never
// falls back to a registry, to an older commit or to a moving branch: if it cannot do what was
// asked, it returns an error.
//
// It does not guarantee that the reference keeps naming the image after the call has returned,
// since any user of the engine can move a tag: create containers from Image.ID where that matters.
package pinion

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/buildcache"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/diskspace"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/layout"
	"git.moleculesai.app/molecule-ai/pinion/internal/inspection"
	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
	"git.moleculesai.app/molecule-ai/pinion/internal/queue"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	"git.moleculesai.app/molecule-ai/pinion/internal/span"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Orchestrator turns names into images. It is safe for concurrent use. Callers that ask for the
// same thing at the same time share one build, also across processes with the same cache folder.
type Orchestrator struct {
	settings settings
	source   resolver.RegistrySource
	// current is what Reload replaces; a call keeps the one that it began with.
	current   atomic.Pointer[templates]
	reloading sync.Mutex
	// store and records open the image store and the cache folder at their first use.
	store   func() (imagestore.Store, error)
	records verify.Records
	desk    *inspection.Desk
	// builders says which builder is used, and connect connects to it.
	builders builder.Config
	connect  func(ctx context.Context, store *imagestore.Facts,
		platform string) (builder.Connection, error)
	caches *buildcache.Caches
	builds builds
	// space measures the file system of a path.
	space func(path string) (diskspace.Space, error)
	// owner keeps the temporary names of the users of one engine apart.
	owner string
	log   *slog.Logger
}

// templates is what the config file says about templates and git servers, with the credentials that
// it names.
type templates struct {
	catalogue *resolver.Catalogue
	creds     resolver.Credentials
	// heads asks git servers, and public asks them without a credential.
	heads, public resolver.Heads
	// client asks for objects of Git LFS and for commits.
	client *resolver.Client
	// redact hides these credentials and those of earlier config files. hidden are their values,
	// and variables the names of what holds them.
	redact            *redact.Redactor
	hidden, variables []string
	// forge returns where the statuses of a repository's commits go.
	forge func(git.Remote) (Forge, bool)
}

// loadTemplates reads the config file. earlier is what was read before, or empty.
func (s settings) loadTemplates(earlier templates) (*templates, error) {
	setup, err := s.loadCatalogue()
	if err != nil {
		return nil, err
	}
	opts := []resolver.ClientOption{resolver.WithTokenHint(setup.TokenHint),
		resolver.WithServers(setup.Servers)}
	hidden := union(earlier.hidden, setup.Secrets())
	client := resolver.NewClient(setup.Credentials, opts...)
	return &templates{
		catalogue: setup.Catalogue, creds: setup.Credentials,
		heads: client, client: client, public: resolver.NewClient(nil, opts...),
		redact: redact.New(hidden...), hidden: hidden,
		variables: union(earlier.variables, setup.SecretEnvs()), forge: setup.Forge,
	}, nil
}

// lfs returns what asks for a template's objects of Git LFS, nil if none are fetched.
func (f *templates) lfs(t resolver.Template) buildkit.LFS {
	if !t.LFS {
		return nil
	}
	return func(
		ctx context.Context, remote git.Remote, pointers []git.LFSPointer,
	) (git.LFSObjects, error) {
		return f.client.LFSObjects(ctx, remote, t.LFSHosts, pointers)
	}
}

// sources returns what the templates that can be requested are built from, or nil if that is not
// known because an entry of the config file is wrong.
func (f *templates) sources() map[recipe.Source]bool {
	if len(f.catalogue.Problems()) > 0 {
		return nil
	}
	sources := map[recipe.Source]bool{}
	for _, name := range f.catalogue.Names() {
		if tmpl, err := f.catalogue.Template(name); err == nil {
			sources[recipe.New(tmpl, "").Source()] = true
		}
	}
	return sources
}

// union returns the values of both lists once, sorted.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// New returns an Orchestrator. It reads the config file and contacts nothing: the engine, the
// builder and the cache folder are opened at their first use. An entry of the config file that is
// wrong is logged, and its name is refused when it is asked for. Errors are of kind
// [ErrInvalidInput].
func New(opts ...Option) (*Orchestrator, error) {
	s := defaults()
	for _, o := range opts {
		o(&s)
	}
	if s.platform != NativePlatform {
		if _, err := resolver.ParsePlatform(s.platform); err != nil {
			return nil, err
		}
	}
	if err := s.checkLimits(); err != nil {
		return nil, err
	}
	source := resolver.Resolve(s.lookup)
	if err := source.Check(); err != nil {
		return nil, err
	}
	var err error
	if s.isolation, err = recipe.ParseIsolation(s.isolation); err != nil {
		return nil, err
	}
	openStore, err := s.storeOpener()
	if err != nil {
		return nil, err
	}
	spec, err := buildcache.ParseSpec(s.buildCache)
	if err != nil {
		return nil, err
	}
	from, err := s.loadTemplates(templates{})
	if err != nil {
		return nil, err
	}
	for _, p := range from.catalogue.Problems() {
		s.logger.Warn("config file: " + p.Error())
	}
	o := &Orchestrator{settings: s, log: s.logger, source: source, owner: ownerOf(s.cachePath())}
	o.current.Store(from)
	o.builders = s.builderConfig(func() []string { return o.current.Load().variables })
	o.store = lazy.New(openStore, isOpen).Get
	o.records = lazy.New(func() (*cache.Dir, error) { return cache.Open(s.cachePath()) },
		(*cache.Dir).Exists).Get
	o.desk = inspection.NewDesk(s.remembers)
	o.connect, o.space = o.builders.Connect, diskspace.Of
	o.builds = builds{queue: queue.New(s.maxParallel), clean: o.clean, log: o.log,
		observe: s.observe, before: s.beforeBuild}
	o.caches = buildcache.New(buildcache.Config{Spec: spec, Records: o.records, Log: o.log,
		Redact: o.Redact, Start: s.saver, Report: o.builds.save})
	return o, nil
}

// Reload reads the config file and the variables with credentials that it names again, and nothing
// else. Calls under way keep what they began with. With an error, which is of kind
// [ErrInvalidInput], nothing changes; other than for [New], that includes the first entry that is
// wrong.
func (o *Orchestrator) Reload() error {
	o.reloading.Lock()
	defer o.reloading.Unlock()
	next, err := o.settings.loadTemplates(*o.current.Load())
	if err != nil {
		return err
	}
	if problems := next.catalogue.Problems(); len(problems) > 0 {
		return problems[0]
	}
	o.current.Store(next)
	return nil
}

// storeOpener returns what opens the store of [WithStore].
func (s settings) storeOpener() (func() (imagestore.Store, error), error) {
	dir, isFolder, err := parseStore(s.store)
	if err != nil {
		return nil, err
	}
	if isFolder {
		return func() (imagestore.Store, error) {
			l, err := layout.Open(dir, layout.WithLogins(s.engineConfig().Login))
			if err != nil {
				return nil, err
			}
			return l, nil
		}, nil
	}
	return func() (imagestore.Store, error) {
		e, err := docker.Dial(s.engineConfig())
		if err != nil {
			return nil, err
		}
		return e, nil
	}, nil
}

// isOpen reports whether a store that was opened is still what its path leads to.
func isOpen(store imagestore.Store) bool {
	folder, ok := store.(imagestore.Folder)
	return !ok || folder.Exists()
}

// ownerOf distinguishes users of one engine who share no cache folder, and so no locks.
func ownerOf(cachePath string) string {
	host, _ := os.Hostname() // one of several parts, which may be empty
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", host, os.Getuid(), cachePath))
	return hex.EncodeToString(sum[:4])
}

// Close waits for the work that goes on after Ensure has returned, the saving of build caches. If
// ctx ends sooner, the work is cancelled, which harms nothing, and the error is ctx's. No call of
// Ensure may be under way.
func (o *Orchestrator) Close(ctx context.Context) error { return o.caches.Close(ctx) }

// Names lists the catalogue in alphabetical order, without the entries that are wrong.
func (o *Orchestrator) Names() []string { return o.current.Load().catalogue.Names() }

// Source returns the mode and, in registry mode, the registry.
func (o *Orchestrator) Source() resolver.RegistrySource { return o.source }

// Redact replaces every credential that this Orchestrator holds or has held, in all forms that it
// may be sent in.
func (o *Orchestrator) Redact(s string) string { return o.current.Load().redact.String(s) }

// clean makes text from elsewhere safe to show.
func (o *Orchestrator) clean(s string) string { return termtext.Sanitize(o.Redact(s)) }

// Ready asks the image store whether it answers. A failure is an [*Error].
func (o *Orchestrator) Ready(ctx context.Context) error {
	store, err := o.store()
	if err == nil {
		_, err = store.Info(ctx)
	}
	if err != nil {
		return fail(ctx, "", imagestore.StoreFailure(err))
	}
	return nil
}

// DockerClient returns a client of the engine that holds the images, found as Pinion found it, to
// create containers with: from [Image.ID], which names one image for good. It contacts nothing, is
// safe for concurrent use and belongs to the Orchestrator, so don't close it. The error is an
// [*Error], of kind [ErrInvalidInput] if the image store is no engine.
func (o *Orchestrator) DockerClient() (*client.Client, error) {
	store, err := o.store()
	if err != nil {
		return nil, &Error{Origin: OriginDocker, Err: imagestore.StoreFailure(err)}
	}
	engine, ok := store.(interface{ Client() *client.Client })
	if !ok {
		return nil, &Error{Origin: OriginDocker, Err: errdef.In(errdef.EngineNeeded, "",
			fmt.Errorf("%w: the image store %s runs no containers", ErrInvalidInput,
				store.Endpoint()))}
	}
	return engine.Client(), nil
}

// lock serialises all that is done with one key, in this process and others. A build that has to
// wait gives its place in the queue to others; b is nil for none. Without a cache folder there is
// neither a lock nor a record; the build goes on with a warning.
func (o *Orchestrator) lock(
	ctx context.Context, r recipe.Recipe, b *Build,
) (unlock func(), warnings []string, err error) {
	ctx, s := span.Start(ctx, spanLock)
	defer s.Done(&err)
	dir, err := o.records()
	if err == nil {
		unlock, err = dir.Lock(ctx, r.Key(), 0)
	}
	if errors.Is(err, ErrLockTimeout) {
		unlock, err = o.waitForLock(ctx, dir, r, b)
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrLockTimeout), ctx.Err() != nil:
		return nil, nil, err
	default:
		unlock, warnings = func() {}, []string{fmt.Sprintf("building without a lock: %v", err)}
	}
	return unlock, warnings, nil
}

func (o *Orchestrator) waitForLock(
	ctx context.Context, dir *cache.Dir, r recipe.Recipe, b *Build,
) (unlock func(), err error) {
	text := fmt.Sprintf("local-build: waiting for another build or push of %s", r.Reference())
	if b == nil {
		o.log.Info(text)
		return dir.Lock(ctx, r.Key(), o.settings.lockWait)
	}
	b.notice(o.log, text)
	ended := b.pause(ctx, func() error {
		unlock, err = dir.Lock(ctx, r.Key(), o.settings.lockWait)
		if errors.Is(err, ErrLockTimeout) || ctx.Err() != nil {
			return err
		}
		return nil // without a lock, if there is none
	})
	if ended != nil && err == nil {
		unlock()
		err = ended
	}
	return unlock, err
}
