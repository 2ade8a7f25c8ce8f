package pinion

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/flight"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
	"git.moleculesai.app/molecule-ai/pinion/internal/queue"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Orchestrator turns names into images. It is safe for concurrent use; whoever asks for the same
// thing at the same time, in this process or another one with the same cache folder, shares one
// build.
type Orchestrator struct {
	settings  settings
	source    resolver.RegistrySource
	catalogue *resolver.Catalogue
	creds     resolver.Credentials
	heads     resolver.Heads
	// public asks git servers without a credential.
	public  resolver.Heads
	store   func() (store, error)
	connect func(ctx context.Context, st store, platform string) (solver, error)
	records func() (*cache.Dir, error)
	builds  flight.Group[string, *Build, Image]
	queue   *queue.Queue
	redact  *redact.Redactor
	// buildCache is the setting; saves writes there, and is what goes on after the answer.
	buildCache buildCacheSpec
	after      *afterwards
	saves      *saves
	// owner keeps the temporary names of users of one engine apart.
	owner string
	log   *slog.Logger
}

// New puts an Orchestrator together. It reads the config file and contacts nobody; engine, builder
// and cache folder are opened when they are first needed. Errors are of kind [ErrInvalidInput].
func New(opts ...Option) (*Orchestrator, error) {
	s := defaults()
	for _, o := range opts {
		o(&s)
	}
	if err := checkPlatform(s.platform); err != nil {
		return nil, err
	}
	if err := s.checkStore(); err != nil {
		return nil, err
	}
	buildCache, err := parseBuildCache(s.buildCache)
	if err != nil {
		return nil, err
	}
	from, err := s.load()
	if err != nil {
		return nil, err
	}
	s.secrets = secretVariables(from.Catalogue)
	creds := from.Credentials
	o := &Orchestrator{
		settings: s, catalogue: from.Catalogue, creds: creds, log: s.logger,
		source:     resolver.Resolve(s.lookup),
		heads:      resolver.NewClient(creds, resolver.WithTokenHint(from.TokenHint)),
		public:     resolver.NewClient(nil, resolver.WithTokenHint(from.TokenHint)),
		redact:     redact.New(slices.Collect(maps.Values(creds))...),
		owner:      s.owner(),
		queue:      queue.New(s.maxParallel),
		connect:    s.connect,
		buildCache: buildCache, after: newAfterwards(),
	}
	o.saves = newSaves(o.after)
	o.records = lazy.New(func() (*cache.Dir, error) {
		return cache.Open(s.cachePath())
	}, (*cache.Dir).Exists).Get
	o.store = lazy.New(s.openStore, stillThere).Get
	return o, nil
}

// Names lists the catalogue in alphabetical order.
func (o *Orchestrator) Names() []string { return o.catalogue.Names() }

// Source tells the mode, and in registry mode the registry.
func (o *Orchestrator) Source() resolver.RegistrySource { return o.source }

// EnsureOption adjusts one call of [Orchestrator.Ensure].
type EnsureOption func(*ask)

// ask is what one caller wants beyond the name.
type ask struct {
	revision    git.Revision
	anyRevision bool
	local       bool
	path        string // of a working tree, if local
	pull        bool
	noCache     bool
	prewarm     bool
	labels      map[string]string
	attest      []string
	cacheFrom   []string
	cacheTo     []string
	push        bool
	pushTo      string
	onEvent     func(Event)
}

// AtRevision asks for that commit instead of the branch's head. It must be on the template's
// branch, by the word of the git server's API, unless any is true.
func AtRevision(rev git.Revision, anyRevision bool) EnsureOption {
	return func(a *ask) { a.revision, a.anyRevision = rev, anyRevision }
}

// AtPath asks for the working tree whose root is the folder dir, instead of a commit: for whoever
// changes a template and wants to try it before it is pushed. The git server is not asked. See
// [Image.Tree].
func AtPath(dir string) EnsureOption { return func(a *ask) { a.local, a.path = true, dir } }

// Pull asks the registries again: in registry mode for the image, else for the images in FROM; the
// latter bypasses the hit.
func Pull() EnsureOption { return func(a *ask) { a.pull = true } }

// NoCache runs every step of the Dockerfile again. It bypasses the hit.
func NoCache() EnsureOption { return func(a *ask) { a.noCache = true } }

// Prewarm says that nobody waits for the image yet. It changes nothing but what the receipt says,
// also that of those who find the image later on.
func Prewarm() EnsureOption { return func(a *ask) { a.prewarm = true } }

// pin is the commit that is asked for.
func (a ask) pin() resolver.Pin {
	return resolver.Pin{Revision: a.revision, OffBranch: a.anyRevision}
}

// flight keeps calls that want different work apart.
func (a ask) flight(key string) string {
	return fmt.Sprintf("%s pull=%t no-cache=%t head=%t from=%q to=%q", key, a.pull, a.noCache,
		a.revision.IsZero(), a.cacheFrom, a.cacheTo)
}

// OnEvent has f hear, from one goroutine and in order, what happens until [Orchestrator.Ensure]
// returns: of a build that others began earlier, also what has happened so far. A slow f holds
// nobody up but its own caller.
func OnEvent(f func(Event)) EnsureOption { return func(a *ask) { a.onEvent = f } }

// Ensure returns the image of the template's current commit, building or pulling it if the store
// lacks it.
//
// Callers who ask for the same thing share the work; each may leave by cancelling its context, and
// the last to leave stops the build. A failure is an [*Error].
//
// A program that ends soon after calls [Orchestrator.Close] first.
func (o *Orchestrator) Ensure(ctx context.Context, name string,
	opts ...EnsureOption) (Image, error) {
	a := newAsk(opts)
	c, err := o.start(ctx, name, a)
	if err != nil {
		if a.onEvent != nil {
			a.onEvent(o.failed(ctx, name, err))
		}
		return Image{}, err
	}
	var telling sync.WaitGroup
	if a.onEvent != nil {
		telling.Go(func() {
			for e := range c.build.Events(ctx, 0) {
				a.onEvent(e)
			}
		})
	}
	img, err := c.Wait(ctx)
	telling.Wait()
	return img, err
}

// Start is [Orchestrator.Ensure] for callers who don't want to wait: it asks the git server,
// verifies a hit, and if there is none it joins or begins a build. The caller owes the Call a Wait
// or a Leave.
func (o *Orchestrator) Start(ctx context.Context, name string,
	opts ...EnsureOption) (*Call, error) {
	return o.start(ctx, name, newAsk(opts))
}

func newAsk(opts []EnsureOption) (a ask) {
	for _, opt := range opts {
		opt(&a)
	}
	return a
}

func (o *Orchestrator) start(ctx context.Context, name string, a ask) (*Call, error) {
	begun := time.Now()
	c, err := o.call(ctx, name, a)
	if err != nil {
		return nil, fail(ctx, name, err)
	}
	c.finish = func(ctx context.Context, img Image, err error) (Image, error) {
		if err == nil && c.push != nil {
			img, err = c.push(ctx, img)
		}
		if err != nil {
			return Image{}, fail(ctx, name, err)
		}
		img.Durations.Total = ms(time.Since(begun))
		if img.Mode == resolver.ModeLocalBuild {
			o.log.Info(fmt.Sprintf("Provisioner: local-build mode → using locally-built image %s "+
				"for runtime %s", img.Reference, name))
		}
		return img, nil
	}
	return c, nil
}

func (o *Orchestrator) call(ctx context.Context, name string, a ask) (*Call, error) {
	begun := time.Now()
	t, err := o.catalogue.Template(name)
	if err != nil {
		return nil, err
	}
	if o.source.Mode == resolver.ModeRegistry {
		return o.pull(ctx, t, a)
	}
	if err := checkLabels(a.labels); err != nil {
		return nil, err
	}
	provenance, err := a.provenance()
	if err != nil {
		return nil, err
	}
	caches, err := a.namedCaches()
	if err != nil {
		return nil, err
	}
	st, err := o.store()
	if err != nil {
		return nil, storeError(err)
	}
	r, err := o.recipe(ctx, st, t)
	if err != nil {
		return nil, err
	}
	r = r.labelled(a.labels).attested(provenance)
	var to imagestore.Pusher
	if a.push {
		if to, err = checkPush(t, st, a); err != nil {
			return nil, err
		}
	}
	j := &job{o: o, ask: a, template: t, store: &askedOnce{store: st}, recipe: r, caches: caches}
	j.durations.Resolve = ms(time.Since(begun))
	if a.local {
		return j.runTree(ctx)
	}
	c, err := j.run(ctx)
	if err == nil && a.push {
		c.push = func(ctx context.Context, img Image) (Image, error) { return j.push(ctx, to, img) }
	}
	return c, err
}

// hit is a call that found what it asked for.
func (o *Orchestrator) hit(ctx context.Context, resolved Event, img Image) *Call {
	b := o.newBuild(resolved)
	b.end(ctx, img, nil)
	return &Call{build: b}
}

// join shares the work of whoever asks for the same thing. It waits for its turn first.
func (o *Orchestrator) join(ctx context.Context, key string, resolved Event,
	work func(context.Context, *Build) (Image, error)) (*Call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	begin := func() *Build { return o.newBuild(resolved) }
	t := o.builds.Join(ctx, key, begin, func(ctx context.Context, b *Build) (img Image, err error) {
		defer func() {
			if err != nil {
				err = fail(ctx, b.name, err)
			}
			b.end(ctx, img, err)
		}()
		leave, err := o.queue.Enter(ctx, b.queued)
		if err != nil {
			return Image{}, err
		}
		defer leave()
		b.run()
		return work(ctx, b)
	})
	return &Call{build: t.Shared(), ticket: t}, nil
}

// failed is the only event of a call that came to nothing before it was known what it is about.
func (o *Orchestrator) failed(ctx context.Context, name string, err error) Event {
	return Event{ID: 1, Type: EventFailed, Time: time.Now().UTC(), Name: name,
		Failure: failureOf(ctx, err, o.clean)}
}

// EnsureLocalImage is the call that a workspace server makes before it creates a container: the
// reference to create it from. In registry mode that is the registry's, untouched, and nothing is
// contacted.
func (o *Orchestrator) EnsureLocalImage(ctx context.Context, runtime string) (string, error) {
	if o.source.Mode == resolver.ModeRegistry {
		if _, err := o.catalogue.Template(runtime); err != nil {
			return "", fail(ctx, runtime, err)
		}
		return o.source.Reference(runtime), nil
	}
	img, err := o.Ensure(ctx, runtime)
	return img.Reference, err
}

// Resolution is what a name stands for at the moment.
type Resolution struct {
	Name string        `json:"name"`
	Mode resolver.Mode `json:"mode"`
	// Reference is what [Orchestrator.Ensure] would return; with the platform "native" it is left
	// out.
	Reference  string       `json:"reference,omitempty"`
	Repository string       `json:"repository,omitempty"`
	Ref        string       `json:"ref,omitempty"`
	Revision   git.Revision `json:"revision,omitzero"`
}

// Resolve asks the git server, and nobody else, what the name stands for. It builds nothing. In
// registry mode it asks nobody.
func (o *Orchestrator) Resolve(ctx context.Context, name string) (Resolution, error) {
	t, err := o.catalogue.Template(name)
	if err != nil {
		return Resolution{}, fail(ctx, name, err)
	}
	res := Resolution{Name: name, Mode: o.source.Mode}
	if res.Mode == resolver.ModeRegistry {
		res.Reference = o.source.Reference(name)
		return res, nil
	}
	head, err := o.heads.Head(ctx, t.Remote, t.Ref, "")
	if err != nil {
		return Resolution{}, fail(ctx, name, err)
	}
	res.Repository, res.Ref, res.Revision = t.Remote.String(), head.Ref.String(), head.Revision
	if o.platform(t) != NativePlatform {
		r, err := o.recipe(ctx, nil, t)
		if err != nil {
			return Resolution{}, fail(ctx, name, err)
		}
		res.Reference = r.at(head.Revision).reference()
	}
	return res, nil
}

// frontends are the images that `# syntax=` may name besides docker/dockerfile.
func (o *Orchestrator) frontends() []string {
	return slices.Concat(o.settings.frontends, o.catalogue.Frontends())
}

// Redact replaces every credential that this Orchestrator holds, in whatever form it may be sent.
func (o *Orchestrator) Redact(s string) string {
	return o.redact.String(s)
}

// platform of a template, before "native" is settled.
func (o *Orchestrator) platform(t resolver.Template) string {
	if t.Platform != "" {
		return t.Platform
	}
	return o.settings.platform
}
