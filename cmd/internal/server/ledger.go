package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// ledger lists the running builds and those that ended last. It holds the interests that outlive
// their request.
type ledger struct {
	keep    int // ended builds
	metrics *metrics
	idle    *idleness
	log     *slog.Logger
	report  func(pinion.BuildStatus) // is called with mu held, so that the order is right

	mu      sync.Mutex
	closed  bool // no interest is held any more
	entries map[string]*entry
	order   []*entry // by start
	history []*entry // by end
}

type entry struct {
	build Build
	// head is set if the request was for the head of the branch or of a pull request.
	head         bool
	supersededBy git.Revision
	interests    map[string]interest
	done         bool
	ended        chan struct{} // closed when done
}

// interest belongs to a caller that does not wait.
type interest struct {
	call Call
	end  func()
}

func newLedger(
	keep int, m *metrics, idle *idleness, log *slog.Logger, report func(pinion.BuildStatus),
) *ledger {
	return &ledger{keep: keep, metrics: m, idle: idle, log: log, report: report,
		entries: map[string]*entry{}}
}

// add enters a build, unless it is in the ledger. If it is of the head of the branch or of a pull
// request, add marks the builds of older heads of the same as superseded. The look-up that found
// the head began at start.
func (l *ledger) add(b Build, head bool, start time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries[b.ID()] != nil {
		return
	}
	if s := b.Status(); head {
		l.markLocked(s.Name, s.PullRequest, s.Revision, start)
	}
	e := &entry{build: b, head: head, interests: map[string]interest{},
		ended: make(chan struct{})}
	l.entries[b.ID()] = e
	l.order = append(l.order, e)
	l.metrics.inFlight.Add(1)
	l.idle.enter()
	if s := b.Status(); s.Ended.IsZero() {
		l.report(s)
	}
	go func() {
		<-b.Done()
		l.end(e)
	}()
}

// markSuperseded marks the template's builds of older heads: a look-up that began at start found
// the head of the branch to be rev.
func (l *ledger) markSuperseded(name string, rev git.Revision, start time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.markLocked(name, 0, rev, start)
}

// markLocked marks the builds that started before the look-up. It skips later ones: of two
// concurrent look-ups either may have seen the newer head. The caller holds mu.
func (l *ledger) markLocked(name string, pull int, rev git.Revision, start time.Time) {
	for _, e := range l.order {
		if s := e.build.Status(); e.head && !e.done && s.Name == name && s.PullRequest == pull &&
			s.Revision != rev && s.Started.Before(start) {
			e.supersededBy = rev
		}
	}
}

// hold keeps a call until the caller withdraws it with the token, or until the build ends. Then it
// calls end, once.
func (l *ledger) hold(c Call, end func()) (token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[c.ID()]
	token = rand.Text()
	if e == nil || e.done || l.closed {
		c.Leave()
		end()
		return token
	}
	e.interests[token] = interest{c, end}
	return token
}

// Errors of withdraw.
var (
	errNoBuild    = errors.New("no such build")
	errNotYours   = errors.New("not the token of an interest in this build")
	errBuildEnded = errors.New("the build has ended")
)

// withdraw ends the interest with that token. Withdrawing the last interest cancels the build.
func (l *ledger) withdraw(id, token string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		return errNoBuild
	}
	// The tokens are random and of this build alone, so the timing of a map look-up reveals nothing
	// about others.
	i, ok := e.interests[token]
	switch {
	case e.done:
		return errBuildEnded
	case !ok:
		return errNotYours
	}
	delete(e.interests, token)
	i.call.Leave()
	i.end()
	return nil
}

func (l *ledger) end(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(e)
	e.done = true
	l.history = append(l.history, e)
	if len(l.history) > l.keep {
		old := l.history[0]
		l.history = slices.Delete(l.history, 0, 1)
		delete(l.entries, old.build.ID())
		l.order = slices.DeleteFunc(l.order, func(o *entry) bool { return o == old })
	}
	s := e.build.Status()
	l.metrics.countBuild(s)
	logEnd(l.log, s)
	l.report(e.status())
	l.idle.leave()
	close(e.ended)
}

// logEnd logs how a build ended, and who asked for it. Nobody else may be there to read why it
// failed.
func logEnd(log *slog.Logger, s pinion.BuildStatus) {
	took := s.Ended.Sub(s.Started).Round(time.Millisecond)
	asker := s.AskedBy
	if s.Prewarmed {
		asker += ", ahead of requests"
	}
	if s.Failure == nil {
		outcome := pinion.OutcomeBuilt
		if s.Image != nil {
			outcome = s.Image.Outcome
		}
		log.Info(fmt.Sprintf("build of %s ended after %s (%s); asked for by %s", s.Reference, took,
			outcome, asker))
		return
	}
	level, what := slog.LevelWarn, "failed"
	if s.Failure.Class == pinion.ClassCancelled {
		level, what = slog.LevelInfo, "was cancelled"
	}
	log.Log(context.Background(), level, fmt.Sprintf("build of %s %s after %s (%s); asked for by "+
		"%s: %s", s.Reference, what, took, s.Failure.Class, asker, s.Failure.Message))
}

func (l *ledger) release(e *entry) {
	for _, i := range e.interests {
		i.call.Leave()
		i.end()
	}
	clear(e.interests)
}

// leave withdraws all interests, later ones included.
func (l *ledger) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, e := range l.order {
		l.release(e)
	}
}

// wait returns when all builds have ended or ctx has.
func (l *ledger) wait(ctx context.Context) {
	for e := l.underWay(); e != nil; e = l.underWay() {
		select {
		case <-e.ended:
		case <-ctx.Done():
			return
		}
	}
}

// underWay returns a build that has not ended, or nil.
func (l *ledger) underWay() *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.order, func(e *entry) bool { return !e.done })
	if i < 0 {
		return nil
	}
	return l.order[i]
}

// get returns a build and its status.
func (l *ledger) get(id string) (Build, pinion.BuildStatus, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		return nil, pinion.BuildStatus{}, false
	}
	return e.build, e.status(), true
}

// list returns all builds, newest first.
func (l *ledger) list() []pinion.BuildStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := []pinion.BuildStatus{}
	for _, e := range slices.Backward(l.order) {
		list = append(list, e.status())
	}
	return list
}

func (e *entry) status() pinion.BuildStatus {
	s := e.build.Status()
	if s.SupersededBy.IsZero() {
		s.SupersededBy = e.supersededBy
	}
	return s
}
