package watch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// repo is a branch of a repository, with the templates on it that are followed.
type repo struct {
	watcher  *Watcher
	url, ref string
	nudged   chan struct{} // one nudge may wait; more say nothing new

	mu       sync.Mutex
	followed map[string]*follow // guarded by mu; the values are run's alone
}

// follow is what is known of one template.
type follow struct {
	// settled is the head for which there is nothing to do any more.
	settled git.Revision
	// warming is our build under way, of revision; nil if there is none.
	warming  server.Call
	revision git.Revision
}

func (r *repo) follow(name string) (added bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.followed[name] != nil {
		return false
	}
	r.followed[name] = &follow{}
	return true
}

func (r *repo) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.followed))
}

func (r *repo) of(name string) *follow {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.followed[name]
}

func (r *repo) nudge() {
	select {
	case r.nudged <- struct{}{}:
	default:
	}
}

// run looks up when it is time or when it is nudged, later and later as long as that fails.
func (r *repo) run(ctx context.Context) {
	defer r.dropQueued()
	failures := 0
	for {
		var due <-chan time.Time // never, as long as nothing is followed
		if len(r.names()) > 0 {
			due = time.After(r.watcher.jitter(r.pause(failures)))
		}
		select {
		case <-ctx.Done():
			return
		case <-r.nudged:
		case <-due:
		}
		if err := r.look(ctx); err == nil {
			failures = 0
		} else {
			if failures == 0 && ctx.Err() == nil {
				r.watcher.log.Warn(fmt.Sprintf("watch: %v", err))
			}
			failures++
		}
		// What is pushed meanwhile is one nudge.
		select {
		case <-ctx.Done():
			return
		case <-time.After(atLeastBetween):
		}
	}
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

// look asks once for all templates, and has built what moved. The first failure is returned; it
// holds up no other template.
func (r *repo) look(ctx context.Context) error {
	names := r.names()
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	begun := time.Now()
	head, err := r.watcher.heads.Resolve(ctx, names[0])
	if err != nil {
		return err
	}
	var first error
	for _, name := range names {
		if err := r.settle(ctx, name, head.Revision, begun); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// settle does what the head asks for, which a look-up begun at that time found.
func (r *repo) settle(ctx context.Context, name string, head git.Revision, begun time.Time) error {
	f := r.of(name)
	if err := f.harvest(); err != nil {
		return err
	}
	if f.settled == head {
		return nil
	}
	if f.warming != nil {
		switch {
		case f.revision == head:
			return nil
		case f.warming.Status().State != pinion.BuildQueued:
			r.watcher.builder.Superseded(name, head, begun)
			return nil // run looks again when it has ended
		}
		f.warming.Leave()
		f.warming = nil
	}
	return r.warm(ctx, name, f)
}

// harvest takes notice of a build that has ended. A template that cannot be built is not tried
// again before its head moves; whatever else failed may work the next time.
func (f *follow) harvest() error {
	if f.warming == nil {
		return nil
	}
	select {
	case <-f.warming.Done():
	default:
		return nil
	}
	status := f.warming.Status()
	f.warming = nil
	if status.Failure == nil || status.Failure.Class == pinion.ClassBuild {
		f.settled = f.revision
		return nil
	}
	return fmt.Errorf("%s: %s", status.Name, status.Failure.Message)
}

// warm begins a build, of the head that it finds itself.
func (r *repo) warm(ctx context.Context, name string, f *follow) error {
	b, err := r.watcher.builder.Warm(ctx, name)
	if err != nil {
		return err
	}
	f.warming, f.revision = b, b.Status().Revision
	if err := f.harvest(); err != nil || f.warming == nil {
		return err
	}
	go func() {
		<-b.Done()
		r.nudge()
	}()
	return nil
}

// dropQueued gives up what has not begun.
func (r *repo) dropQueued() {
	for _, name := range r.names() {
		if f := r.of(name); f.warming != nil && f.warming.Status().State == pinion.BuildQueued {
			f.warming.Leave()
		}
	}
}
