package pinion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/buildcache"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/flight"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/span"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Ensure returns the image of the template's current commit, building or pulling it if the store
// lacks it.
//
// Callers that ask for the same thing share the work; each may leave by cancelling its context, and
// the last to leave stops the build. A failure is an [*Error].
//
// A program that ends soon after calls [Orchestrator.Close] first.
func (o *Orchestrator) Ensure(
	ctx context.Context, name string, opts ...EnsureOption,
) (Image, error) {
	req := newRequest(opts)
	c, err := o.start(ctx, name, req)
	if err != nil {
		if req.onEvent != nil {
			req.onEvent(o.failureEvent(ctx, name, err))
		}
		return Image{}, err
	}
	var events sync.WaitGroup
	if req.onEvent != nil {
		events.Go(func() {
			for e := range c.build.Events(ctx, 0) {
				req.onEvent(e)
			}
		})
		c.onPush = func(e Event) {
			events.Wait() // the build has ended
			req.onEvent(e)
		}
	}
	img, err := c.Wait(ctx)
	events.Wait()
	return img, err
}

// Start is [Orchestrator.Ensure] without the wait: it asks the git server, verifies a hit, and
// otherwise joins or begins a build. The caller must end the Call with Wait or Leave.
func (o *Orchestrator) Start(
	ctx context.Context, name string, opts ...EnsureOption,
) (*Call, error) {
	return o.start(ctx, name, newRequest(opts))
}

// EnsureLocalImage is the call that a workspace server makes before it creates a container. It
// returns the reference to create the container from. In registry mode that is the registry's, or
// the image that the catalogue gives, and nothing is contacted.
func (o *Orchestrator) EnsureLocalImage(ctx context.Context, runtime string) (string, error) {
	if o.source.Mode == resolver.ModeRegistry {
		t, err := o.current.Load().catalogue.Template(runtime)
		if err != nil {
			return "", fail(ctx, runtime, err)
		}
		return cmp.Or(t.Given, o.source.Reference(runtime)), nil
	}
	img, err := o.Ensure(ctx, runtime)
	return img.Reference, err
}

// WithRememberedInspections is for programs with many calls, such as servers: a hit is verified by
// an earlier inspection of its image if the engine reports no change of any image since, and if it
// is not older than two seconds. The engine is asked for that at each moment at which there are
// calls, which takes it far less than an inspection on the containerd store; on others nothing is
// remembered. A change that the engine does not report, such as the removal of one platform of an
// image, or what is done to containerd behind its back, is seen after the two seconds; Image.ID is
// right in any case. The default is that each hit is inspected, or shares the inspection of another
// one that began after it.
func WithRememberedInspections() Option { return func(s *settings) { s.remembers = true } }

// Inspections are numbers of inspections for hits.
type Inspections struct {
	// Asked were made by the image store. Shared is how often a call took that of another, and
	// Remembered how often one took an earlier one, see [WithRememberedInspections].
	Asked, Shared, Remembered int64
}

// Inspections returns the numbers since the Orchestrator was made. Only those of engines count.
func (o *Orchestrator) Inspections() Inspections { return Inspections(o.desk.Counts()) }

// start begins a call and says how it ends.
func (o *Orchestrator) start(ctx context.Context, name string, req request) (*Call, error) {
	begun := time.Now()
	ctx, s := span.Root(ctx, o.settings.spans, spanEnsure)
	s.Text("pinion.template", name)
	c, err := o.begin(ctx, name, req)
	if err != nil {
		logLong(o.log, name, err)
		err = failCall(ctx, name, "", begun, err)
		endCall(s, Image{}, err)
		return nil, err
	}
	c.span = s
	if c.ticket != nil && c.ticket.Joined() {
		s.Link(c.build.span)
	}
	c.finish = func(ctx context.Context, img Image, err error) (_ Image, ended error) {
		ctx = s.In(ctx)
		defer func() { endCall(s, img, ended) }()
		if err == nil && c.push != nil {
			before := len(img.Warnings)
			if img, err = c.push(ctx, img); err == nil {
				logWarnings(o.log, name, img.Warnings[before:])
			}
		}
		if err != nil {
			logLong(o.log, name, err)
			return Image{}, failCall(ctx, name, c.build.latest(), begun, err)
		}
		img.Durations.Total = ms(time.Since(begun))
		switch {
		case o.settings.noSummary:
		case img.Outcome == OutcomeGiven:
			o.log.Info(fmt.Sprintf("Provisioner: %s mode → using the catalogue's image %s for "+
				"runtime %s", img.Mode, img.Reference, name))
		case img.Mode == resolver.ModeLocalBuild:
			o.log.Info(fmt.Sprintf("Provisioner: local-build mode → using locally-built image %s "+
				"for runtime %s", img.Reference, name))
		}
		return img, nil
	}
	return c, nil
}

// The spans of a call, in their order. Pulls and pushes have the names of [Orchestrator.transfer].
const (
	spanEnsure  = "ensure"
	spanLookUp  = "look-up"
	spanVerify  = "verify"
	spanBuild   = "build"
	spanQueue   = "queue"
	spanLock    = "lock"
	spanConnect = "connect"
	spanAdopt   = "adopt"
	spanRecord  = "record"
)

// endCall ends the span of a call with what came of it.
func endCall(s span.Span, img Image, err error) {
	if err != nil {
		s.Text("pinion.class", string(ClassOf(err)))
	} else {
		s.Text("pinion.outcome", string(img.Outcome))
		s.Text("pinion.reference", img.Reference)
		s.Text("pinion.image_id", img.ID)
		s.Text("pinion.revision", img.Revision.String())
		s.Text("pinion.reason", img.Reason)
		s.Flag("pinion.prewarmed", img.Prewarmed)
		s.Flag("pinion.shared", img.Shared)
	}
	s.End(err)
}

// begin chooses the way: the image that the catalogue gives, a pull in registry mode, otherwise a
// build.
func (o *Orchestrator) begin(ctx context.Context, name string, req request) (*Call, error) {
	from := o.current.Load()
	t, err := from.catalogue.Template(name)
	if err != nil {
		return nil, err
	}
	if t.Given != "" {
		return o.given(ctx, t, req)
	}
	if o.source.Mode == resolver.ModeRegistry {
		return o.pull(ctx, t, req)
	}
	return o.local(ctx, from, t, req)
}

// Call is one caller's interest in a build or a hit, from [Orchestrator.Start]. It ends with Wait
// or Leave.
type Call struct {
	build  *Build
	span   span.Span
	ticket *flight.Ticket[*Build, Image] // nil for a hit
	// push is nil unless it was asked for.
	push   func(ctx context.Context, img Image) (Image, error)
	onPush func(Event) // nil for none
	finish func(ctx context.Context, img Image, err error) (Image, error)
}

// emit passes an event of the push to the caller.
func (c *Call) emit(e Event) {
	if c.onPush != nil {
		e.Name, e.Time = c.build.name, time.Now().UTC()
		c.onPush(e)
	}
}

// Build returns the build that the caller shares. The build of a hit has ended and is not shared.
func (c *Call) Build() *Build { return c.build }

// Hit reports whether the image was there already.
func (c *Call) Hit() bool { return c.ticket == nil }

// Leave withdraws the caller's interest. The last one to leave cancels the build.
func (c *Call) Leave() {
	if c.ticket != nil {
		c.ticket.Leave()
	}
	c.span.End(nil)
}

// Wait returns the image, or an [*Error], or the context's error if ctx ends first. In that case
// the caller has left; if it was the last one, the build was cancelled and has ended.
func (c *Call) Wait(ctx context.Context) (Image, error) {
	if c.ticket == nil {
		img, err := c.build.Result()
		return c.finish(ctx, img, err)
	}
	shared, err := c.ticket.Wait(ctx)
	img := shared.clone()
	img.Shared = err == nil && c.ticket.Joined()
	return c.finish(ctx, img, err)
}

// LogInResult is the key of an attribute of log records: the call's result has the same text, as a
// warning of the [Image] or in the log of the [StepError]. A program that shows results may drop
// the record.
const LogInResult = "in_result"

// logStep logs the last lines of the step that failed, if one did.
func logStep(log *slog.Logger, name string, err error) {
	step, ok := errors.AsType[*StepError](err)
	if !ok {
		return
	}
	for _, line := range step.Log {
		log.Error(fmt.Sprintf("local-build: %s: %s", name, line), LogInResult, true)
	}
}

// logWarnings logs warnings of an image.
func logWarnings(log *slog.Logger, name string, warnings []string) {
	for _, w := range warnings {
		log.Warn(fmt.Sprintf("%s: %s", name, w), LogInResult, true)
	}
}

// withChecks adds to the error of a build what BuildKit remarked before.
func withChecks(err error, checks []BuildCheck) error {
	if e, ok := errors.AsType[*Error](err); ok && len(checks) > 0 {
		e.Checks = checks
	}
	return err
}

// logChecks logs what BuildKit remarked before a build failed.
func logChecks(log *slog.Logger, name string, err error) {
	if e, ok := errors.AsType[*Error](err); ok {
		logWarnings(log, name, e.Warnings())
	}
}

// explainMoved explains a fetch that failed because the branch was moved away from the commit. It
// never leads to another commit being built: the caller may ask again.
func (o *Orchestrator) explainMoved(ctx context.Context, w work, err error) error {
	if !errors.Is(err, ErrFetch) {
		return err
	}
	if head := o.superseded(ctx, w); !head.IsZero() {
		return fmt.Errorf("%w; the branch has moved from %s to %s in the meantime: ask again to "+
			"build that", err, w.recipe.Short(), head.Short())
	}
	return err
}

// superseded returns the branch's head if it is no longer the recipe's commit, otherwise or if the
// git server does not say so zero.
func (o *Orchestrator) superseded(ctx context.Context, w work) git.Revision {
	if !w.request.followsHead() {
		return git.Revision{}
	}
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	head, err := resolver.Commit(ctx, w.from.heads, w.template, w.request.pin.Head(),
		w.head.Dialect)
	if err != nil || head.Revision == w.recipe.Revision {
		return git.Revision{}
	}
	return head.Revision
}

// startSuperseded is superseded in the background.
func (o *Orchestrator) startSuperseded(ctx context.Context, w work) <-chan git.Revision {
	head := make(chan git.Revision, 1)
	go func() { head <- o.superseded(ctx, w) }()
	return head
}

// WithCacheSaver leaves the saving of build caches to other processes, so that a program that ends
// after its builds need not wait in [Orchestrator.Close]. start begins a process that calls
// [Orchestrator.SaveCache] with the key, of an Orchestrator with the same options but this one, and
// returns when that runs. If start fails, this process saves. The default is that it always does.
func WithCacheSaver(start func(ctx context.Context, key string) error) Option {
	return func(s *settings) { s.saver = start }
}

// SaveCache saves a build cache that another process has left to this one, see [WithCacheSaver]. Of
// those with one key the newest is saved, and by one process at a time.
func (o *Orchestrator) SaveCache(ctx context.Context, key string) error {
	ctx, s := span.Root(ctx, o.settings.spans, buildcache.SpanSave)
	err := o.caches.Resume(ctx, key, func(
		ctx context.Context, platform string,
	) (builder.Builder, error) {
		store, err := o.store()
		if err != nil {
			return nil, imagestore.StoreFailure(err)
		}
		return o.connect(ctx, imagestore.NewFacts(store), platform)
	})
	if s.End(err); err != nil {
		return fail(ctx, "", err)
	}
	return nil
}
