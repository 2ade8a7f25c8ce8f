package pulls

import (
	"context"
	"errors"
	"fmt"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
)

const (
	// lookupTimeout bounds one look-up and the verification of hits after it.
	lookupTimeout = 2 * time.Minute
	// minPause is the least time between two looks at one pull request.
	minPause = time.Second
)

// pull is a pull request that is looked up or built. It ends with its build.
type pull struct {
	key     key
	builds  *Builds
	builder Builder
	nudges  chan struct{} // holds one

	event server.PullRequestEvent // the last one; guarded by the mu of builds
	build server.Call             // nil if there is none; only run uses it
}

// run handles events until there is neither a build nor an event, or ctx ends. Then it withdraws
// from the build if it is queued.
func (p *pull) run(ctx context.Context) {
	for {
		var ended <-chan struct{}
		if p.build != nil {
			ended = p.build.Done()
		}
		select {
		case <-ctx.Done():
			if p.build != nil && p.build.Status().State == pinion.BuildQueued {
				p.build.Leave()
			}
			return
		case <-ended:
			p.build = nil
		case <-p.nudges:
			p.handle(ctx)
		}
		if p.build == nil && p.end() {
			return
		}
		p.wait(ctx, minPause) // the next event stays in nudges
	}
}

// end removes the pull request unless there is another event for it.
func (p *pull) end() bool {
	p.builds.mu.Lock()
	defer p.builds.mu.Unlock()
	if len(p.nudges) > 0 {
		return false
	}
	delete(p.builds.active, p.key)
	return true
}

// wait reports whether the time has passed before ctx ended.
func (p *pull) wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// handle does what the last event asks for.
func (p *pull) handle(ctx context.Context) {
	p.builds.mu.Lock()
	e := p.event
	p.builds.mu.Unlock()
	if e.Closed {
		p.close(ctx)
		return
	}
	var err error
	for _, pause := range pauses() {
		if !p.wait(ctx, pause) || len(p.nudges) > 0 {
			return // the next event is about a newer head
		}
		if err = p.look(ctx, e); err == nil || !mayPass(err) {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		p.builds.log.Warn(fmt.Sprintf("pull request %d of %s is not built: %v", p.key.number,
			p.key.template, err))
	}
}

// look finds or builds the image of the head, and leaves the build of the head before.
func (p *pull) look(ctx context.Context, e server.PullRequestEvent) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	c, err := p.builder.WarmPullRequest(ctx, p.key.template, p.key.number, e.Head)
	if err != nil {
		return err
	}
	before := p.build
	p.build = nil
	if !c.Hit() {
		p.build = c
	}
	if before != nil {
		before.Leave()
	}
	return nil
}

// mayPass reports whether a look-up may succeed in a moment: the git server does not have the pull
// request or its new head yet, or does not answer.
func mayPass(err error) bool {
	return errors.Is(err, pinion.ErrNotFound) || errors.Is(err, pinion.ErrNotOnBranch) ||
		errors.Is(err, pinion.ErrUnavailable)
}

// close leaves the build, and marks the images once the build has ended: it might record another.
func (p *pull) close(ctx context.Context) {
	if p.build != nil {
		p.build.Leave()
		select {
		case <-p.build.Done():
		case <-time.After(lookupTimeout): // another caller waits for it
		case <-ctx.Done():
		}
		p.build = nil
	}
	err := p.builds.orchestrator.ClosePullRequest(ctx, p.key.template, p.key.number)
	if err != nil {
		p.builds.log.Warn(fmt.Sprintf("pull request %d of %s was closed, and its images stay "+
			"until they are too old: %v", p.key.number, p.key.template, err))
	}
}
