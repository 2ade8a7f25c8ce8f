package watch

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// DefaultInterval is the mean time between two look-ups of a head.
const DefaultInterval = time.Minute

const (
	// maxBackoff bounds the time between look-ups that fail, and between builds of one commit that
	// fail.
	maxBackoff = 30 * time.Minute
	// minPause is the least time between two look-ups of one head.
	minPause = time.Second
	// lookupTimeout bounds one look-up and the verification of hits after it.
	lookupTimeout = 2 * time.Minute
	// lookupsPerHost bounds the concurrent look-ups at one git server.
	lookupsPerHost = 4
	// firstGap is the time between the first look-ups of two templates at one git server. The
	// first look-ups of very many are spread over the interval.
	firstGap = 50 * time.Millisecond
)

// Heads looks up what a template stands for at its git server or, in registry mode, its registry.
type Heads interface {
	Head(ctx context.Context, name string) (pinion.Resolution, error)
}

// Builder builds images that no caller has requested yet. A [server.Server] is one.
type Builder interface {
	// Warm finds or builds the image of the template's current head. It does not wait for the
	// build.
	Warm(ctx context.Context, name string) (server.Call, error)
	// Superseded marks the template's builds of older heads: a look-up that began at that time
	// found the head to be rev.
	MarkSuperseded(name string, rev git.Revision, begun time.Time)
}

// Watcher follows heads. [New] creates one.
type Watcher struct {
	heads    Heads
	builder  Builder // set by Run
	interval time.Duration
	log      *slog.Logger
	jitter   func(time.Duration) time.Duration
	failed   func(ctx context.Context, name string, rev git.Revision) (reference string)

	lookups, lookupFailures atomic.Int64

	mu    sync.Mutex
	hosts map[string]*host
	repos map[place]*repo
	at    map[string]*repo // by template
	// start runs a repo until its stop is called; nil unless Run runs.
	start func(*repo)
}

// place is what one look-up is about: a branch of a repository, or a tag of a registry.
type place struct{ repository, ref string }

// Option changes a watcher.
type Option func(*Watcher)

// WithFailed sets what knows the builds of earlier processes: it returns what the image of a commit
// would have been called if the last build of it failed because of the template, otherwise "".
func WithFailed(
	f func(ctx context.Context, name string, rev git.Revision) (reference string),
) Option {
	return func(w *Watcher) { w.failed = f }
}

// New makes a watcher of the templates. It follows none of them yet. Failures go to the logger.
func New(
	h Heads, templates []pinion.Resolution, interval time.Duration, log *slog.Logger,
	opts ...Option,
) *Watcher {
	w := &Watcher{heads: h, interval: interval, log: log, jitter: spread,
		hosts: map[string]*host{}, repos: map[place]*repo{},
		failed: func(context.Context, string, git.Revision) string { return "" }}
	for _, opt := range opts {
		opt(w)
	}
	w.at = w.reposOf(templates)
	return w
}

// reposOf returns the repos of templates by name. It starts those that are new, if Run runs.
func (w *Watcher) reposOf(templates []pinion.Resolution) map[string]*repo {
	repos := map[string]*repo{}
	for _, t := range templates {
		p := place{t.Repository, t.Ref}
		switch {
		case t.Mode == resolver.ModeRegistry && resolver.IsMoving(t.Reference):
			p = place{t.Reference, ""}
		case t.Mode == resolver.ModeRegistry, t.Ref == "":
			continue // it never moves
		}
		if w.repos[p] == nil {
			w.repos[p] = &repo{
				watcher: w, host: w.hostOf(p.repository), place: p, url: t.Repository, ref: t.Ref,
				nudges: make(chan struct{}, 1), templates: map[string]*template{}, stop: func() {},
			}
			if w.start != nil {
				w.start(w.repos[p])
			}
		}
		repos[t.Name] = w.repos[p]
	}
	return repos
}

// Update replaces the templates. It goes on to follow those that were followed, and asks for their
// images anew, since the same commit may stand for another image. What has no template any more is
// no longer known. Builds in progress continue.
func (w *Watcher) Update(templates []pinion.Resolution) {
	w.mu.Lock()
	before := w.at
	w.at = w.reposOf(templates)
	left := maps.Clone(w.repos)
	for _, r := range w.at {
		delete(left, r.place)
	}
	for p := range left {
		delete(w.repos, p)
	}
	w.mu.Unlock()
	for name, r := range before {
		if r.unfollow(name) {
			w.Follow(name)
		}
	}
	for _, r := range left {
		r.stop()
	}
}

// spread varies a duration by a quarter, so that servers and repositories are not in step.
func spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2)) //nolint:gosec // no secret
}

// Follow starts to follow the template's head. It ignores names that are not in the catalogue.
func (w *Watcher) Follow(name string) {
	w.mu.Lock()
	r := w.at[name]
	w.mu.Unlock()
	if r != nil && r.follow(name) {
		time.AfterFunc(r.host.firstDelay(w.interval), r.nudge)
	}
}

// Pushed schedules a look-up of a repository's heads and returns the templates that the push may
// affect: the followed ones whose repository path ends in owner/name, and whose branch is ref or
// HEAD. It ignores the host, since the server's own name may differ from the one in the catalogue.
// A false match costs one request. It is a [server.NotifyFunc].
func (w *Watcher) Pushed(repository, ref string, since time.Time) (names []string, known bool) {
	w.mu.Lock()
	repos := slices.Collect(maps.Values(w.repos))
	w.mu.Unlock()
	for _, r := range repos {
		if !server.IsRepository(r.url, repository) {
			continue
		}
		known = true
		followed := r.names()
		if len(followed) == 0 || strings.HasPrefix(r.ref, "refs/") && r.ref != ref ||
			!since.IsZero() && r.lookedUpSince(since) {
			continue
		}
		names = append(names, followed...)
		r.nudge()
	}
	slices.Sort(names)
	return names, known
}

// State returns what the watcher has done and follows.
func (w *Watcher) State() server.WatchState {
	s := server.WatchState{Known: map[string]time.Time{}, Behind: map[string]time.Time{},
		LookupFailures: w.lookupFailures.Load(),
		Lookups:        w.lookups.Load()}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.repos {
		r.mu.Lock()
		for name, t := range r.templates {
			s.Known[name], s.Behind[name] = t.since, t.behind
			if r.lookedUp.After(t.since) {
				s.Known[name] = r.lookedUp
			}
		}
		r.mu.Unlock()
	}
	return s
}

// Run follows the heads until ctx ends, and builds with b. It may be called once. At the end it
// withdraws from queued builds; running builds continue.
func (w *Watcher) Run(ctx context.Context, b Builder) {
	w.builder = b
	var all sync.WaitGroup
	w.mu.Lock()
	w.start = func(r *repo) {
		running, stop := context.WithCancel(ctx)
		r.stop = stop
		all.Go(func() { r.run(running) })
	}
	for _, r := range w.repos {
		w.start(r)
	}
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	w.start = nil
	w.mu.Unlock()
	all.Wait()
}
