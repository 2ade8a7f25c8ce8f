package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// repo is a branch of a repository, or a tag of a registry, with the followed templates that use
// it.
type repo struct {
	watcher  *Watcher
	host     *host
	place    place
	stop     func()        // ends run
	url, ref string        // empty for a tag of a registry
	nudges   chan struct{} // holds one; a second one adds nothing

	mu        sync.Mutex
	templates map[string]*template // by name; guarded by mu. Only run uses the values but since and
	// behind.
	lookedUp time.Time // when the last look-up that succeeded began; guarded by mu
}

func (r *repo) follow(name string) (added bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.templates[name] != nil {
		return false
	}
	r.templates[name] = &template{since: time.Now()}
	return true
}

func (r *repo) unfollow(name string) (removed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	removed = r.templates[name] != nil
	delete(r.templates, name)
	return removed
}

func (r *repo) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.templates))
}

func (r *repo) template(name string) *template {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.templates[name]
}

func (r *repo) nudge() {
	select {
	case r.nudges <- struct{}{}:
	default:
	}
}

// lookedUpSince reports whether a look-up that began at that time or later has succeeded.
func (r *repo) lookedUpSince(t time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.lookedUp.Before(t)
}

// run looks up the head at each interval and at each nudge. Failed look-ups increase the interval.
func (r *repo) run(ctx context.Context) {
	defer r.leaveQueued()
	failures := 0
	for {
		var due <-chan time.Time // never, if no template is followed
		if len(r.names()) > 0 {
			due = time.After(r.watcher.jitter(r.pause(failures)))
		}
		nudged := false
		select {
		case <-ctx.Done():
			return
		case <-r.nudges:
			nudged = true
		case <-due:
		}
		var wanted time.Duration
		failures, wanted = r.tryLook(ctx, failures, nudged)
		// Pushes during the pause become one nudge.
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(minPause, wanted)):
		}
	}
}

// tryLook looks up the head, and returns how many look-ups have failed in a row. After the first,
// those that a nudge caused do not count: pushes during an outage must not make it longer. wanted
// is the pause that the server asks for.
func (r *repo) tryLook(
	ctx context.Context, failures int, nudged bool,
) (failed int, wanted time.Duration) {
	if !r.host.enter(ctx) {
		return failures, 0
	}
	defer r.host.leave()
	begun := time.Now()
	err := r.look(ctx)
	r.watcher.lookups.Add(1)
	if err != nil {
		r.watcher.lookupFailures.Add(1)
	}
	switch {
	case err == nil:
		r.mu.Lock()
		r.lookedUp = begun
		r.mu.Unlock()
		if failures > 0 {
			r.watcher.log.Info(fmt.Sprintf("watch: %s answers again", r.subject()))
		}
		return 0, 0
	case ctx.Err() != nil:
		return failures, 0
	}
	if limited, ok := errors.AsType[*resolver.RateLimitError](err); ok {
		wanted = limited.RetryAfter
	}
	switch {
	case failures == 0:
		r.watcher.log.Warn(fmt.Sprintf("watch: %v", err))
		return 1, wanted
	case nudged:
		return failures, wanted
	}
	return failures + 1, wanted
}

// subject names what is looked up, human-readable.
func (r *repo) subject() string {
	if r.url == "" {
		return strings.Join(r.names(), ", ")
	}
	return r.url
}

func (r *repo) pause(failures int) time.Duration {
	pause := r.watcher.interval
	for range failures {
		if pause >= maxBackoff {
			return max(maxBackoff, r.watcher.interval)
		}
		pause *= 2
	}
	return pause
}

// look looks up the head once for all templates, and starts the builds that it needs. It returns
// the first failure, after it has handled all templates.
func (r *repo) look(ctx context.Context) error {
	names := r.names()
	if len(names) == 0 {
		return nil // they were taken away since
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	start := time.Now()
	res, err := r.watcher.heads.Head(ctx, names[0])
	if err != nil {
		return err
	}
	var first error
	for _, name := range names {
		if err := r.update(ctx, name, head{res.Revision, res.Digest}, start); err != nil &&
			first == nil {
			first = err
		}
	}
	return first
}

// update builds the head unless it is built or being built. The look-up that found it began at
// start.
func (r *repo) update(ctx context.Context, name string, found head, start time.Time) error {
	t := r.template(name)
	if t == nil {
		return nil
	}
	r.collect(t)
	defer func() { r.compare(t, found, start) }()
	if t.finalHead == found || t.failedHead == found && time.Now().Before(t.retryAt) {
		return nil
	}
	if t.build != nil {
		if t.current == found {
			return nil
		}
		r.watcher.builder.MarkSuperseded(name, found.revision, start)
		if t.build.Status().State != pinion.BuildQueued {
			return nil // the end of the build causes another look-up
		}
		t.build.Leave()
		t.build = nil
	}
	if !t.isKnown && found.digest == "" {
		t.isKnown = true
		if r.hasFailed(ctx, name, found.revision) {
			t.finalHead = found
			r.watcher.log.Info(fmt.Sprintf("watch: %s: %s failed (%s) before the server started, "+
				"and is not built again ahead of requests", name, found, pinion.ClassBuild))
			return nil
		}
	}
	return r.warm(ctx, name, t, found)
}

// hasFailed reports whether an earlier process could not build the same of a template's head.
func (r *repo) hasFailed(ctx context.Context, name string, rev git.Revision) bool {
	reference := r.watcher.failed(ctx, name, rev)
	if reference == "" {
		return false
	}
	// The catalogue may want another image of the same commit since.
	now, err := r.watcher.heads.Head(ctx, name)
	return err == nil && now.Revision == rev && now.Reference == reference
}

// compare notes since when a template is behind its head. The look-up that found that began at
// start.
func (r *repo) compare(t *template, found head, start time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case t.finalHead == found:
		t.behind = time.Time{}
	case t.behind.IsZero() || t.newest != found:
		t.behind = start
	}
	t.newest = found
}

// collect forgets a build that has ended. A head is final once it is built, once its own build has
// failed, or once it took too long more than once. After any other failure it is built again, since
// a retry may succeed, and each such failure of one head increases the time until then.
func (r *repo) collect(t *template) {
	if t.build == nil {
		return
	}
	select {
	case <-t.build.Done():
	default:
		return
	}
	status := t.build.Status()
	t.build = nil
	if status.Failure == nil {
		t.finalHead = t.current
		return
	}
	if t.isHopeless(status.Failure.Class) {
		t.finalHead = t.current
		r.watcher.log.Warn(fmt.Sprintf("watch: %s: %s failed (%s) and is not built again ahead of "+
			"requests", status.Name, t.current, status.Failure.Class))
		return
	}
	pause := r.watcher.jitter(r.pause(t.failures))
	t.retryAt = time.Now().Add(pause)
	r.watcher.log.Warn(fmt.Sprintf("watch: %s: %s failed (%s) and is built again in %s",
		status.Name, t.current, status.Failure.Class, pause.Round(time.Second)))
}

// warm starts a build of the current head, which may be newer than the one found.
func (r *repo) warm(ctx context.Context, name string, t *template, found head) error {
	b, err := r.watcher.builder.Warm(ctx, name)
	if err != nil {
		return err
	}
	if found.digest == "" {
		found.revision = b.Status().Revision
	}
	t.build, t.current = b, found
	if r.collect(t); t.build == nil {
		return nil
	}
	go func() {
		<-b.Done()
		r.nudge()
	}()
	return nil
}

// leaveQueued withdraws from the queued builds.
func (r *repo) leaveQueued() {
	for _, name := range r.names() {
		if t := r.template(name); t != nil && t.build != nil &&
			t.build.Status().State == pinion.BuildQueued {
			t.build.Leave()
		}
	}
}
