package watch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// DefaultInterval is the time between two look-ups of a head, about.
const DefaultInterval = time.Minute

const (
	// maxBackoff bounds the time between two look-ups that fail.
	maxBackoff = 30 * time.Minute
	// atLeastBetween is the time between two look-ups of one head, whoever asks for them.
	atLeastBetween = time.Second
	// lookupWithin bounds one look-up, and what is verified after it.
	lookupWithin = 2 * time.Minute
)

// Heads asks git servers what a template's head is.
type Heads interface {
	Resolve(ctx context.Context, name string) (pinion.Resolution, error)
}

// Builder builds images that no caller has requested yet. A [server.Server] is one.
type Builder interface {
	// Warm finds or builds the image of the template's current head. It does not wait for the
	// build.
	Warm(ctx context.Context, name string) (server.Call, error)
	// Superseded marks the template's builds of older heads: a look-up that began at that time
	// found the head to be rev.
	Superseded(name string, rev git.Revision, begun time.Time)
}

// Watcher follows heads. Make it with [New].
type Watcher struct {
	heads    Heads
	builder  Builder // set by Run
	interval time.Duration
	log      *slog.Logger
	jitter   func(time.Duration) time.Duration
	repos    map[string]*repo // by template
	all      []*repo
}

// New makes a watcher of the templates, which it does not follow yet. The logger hears of what
// failed.
func New(h Heads, templates []pinion.Resolution, interval time.Duration,
	log *slog.Logger) *Watcher {
	w := &Watcher{heads: h, interval: interval, log: log, jitter: aQuarter,
		repos: map[string]*repo{}}
	type place struct{ repository, ref string }
	at := map[place]*repo{}
	for _, t := range templates {
		if t.Mode != resolver.ModeLocalBuild {
			continue // a registry's tag is not followed
		}
		p := place{t.Repository, t.Ref}
		if at[p] == nil {
			at[p] = &repo{
				watcher: w, url: t.Repository, ref: t.Ref,
				nudged: make(chan struct{}, 1), followed: map[string]*follow{},
			}
			w.all = append(w.all, at[p])
		}
		w.repos[t.Name] = at[p]
	}
	return w
}

// aQuarter spreads the look-ups of many servers and repositories.
func aQuarter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2)) //nolint:gosec // it guards nothing
}

// Follow has the template's head followed from now on. Names that are not in the catalogue are
// ignored.
func (w *Watcher) Follow(name string) {
	if r := w.repos[name]; r != nil && r.follow(name) {
		r.nudge()
	}
}

// Pushed has the heads of a repository looked up, soon, and returns the templates that it concerns:
// those followed whose repository's path ends in owner/name, and whose branch it is or may be. What
// a server calls itself need not be what we call it, so its host is not looked at; a wrong guess
// costs one request.
func (w *Watcher) Pushed(repository, ref string) []string {
	var names []string
	for _, r := range w.all {
		url, path := strings.ToLower(r.url), "/"+strings.ToLower(repository)
		if !strings.HasSuffix(strings.TrimSuffix(url, ".git"), path) ||
			strings.HasPrefix(r.ref, "refs/") && r.ref != ref {
			continue
		}
		if followed := r.names(); len(followed) > 0 {
			names = append(names, followed...)
			r.nudge()
		}
	}
	slices.Sort(names)
	return names
}

// Run follows the heads until ctx ends, and builds with b. It may be called once. At the end it
// withdraws from queued builds; running builds continue.
func (w *Watcher) Run(ctx context.Context, b Builder) {
	w.builder = b
	var all sync.WaitGroup
	for _, r := range w.all {
		all.Go(func() { r.run(ctx) })
	}
	all.Wait()
}
