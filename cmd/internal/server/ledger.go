package server

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// ledger knows the builds under way and those that ended last, and who has an interest in them
// beyond a request.
type ledger struct {
	keep    int
	metrics *metrics

	mu      sync.Mutex
	left    bool
	entries map[string]*entry
	order   []*entry // as they began
	ended   []*entry // as they ended
}

type entry struct {
	build Build
	// head says that the branch's head was asked for, and no other commit.
	head       bool
	superseded git.Revision
	interests  map[string]interest
	over       bool
	settled    chan struct{} // closed when over
}

// interest is that of a caller who did not wait.
type interest struct {
	call Call
	end  func()
}

func newLedger(keep int, m *metrics) *ledger {
	return &ledger{keep: keep, metrics: m, entries: map[string]*entry{}}
}

// add enters a build, unless it is there already. Those of older heads of the same template are
// marked. The look-up that led to it was begun at that time.
func (l *ledger) add(b Build, head bool, begun time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries[b.ID()] != nil {
		return
	}
	if s := b.Status(); head {
		l.supersede(s.Name, s.Revision, begun)
	}
	e := &entry{build: b, head: head, interests: map[string]interest{},
		settled: make(chan struct{})}
	l.entries[b.ID()] = e
	l.order = append(l.order, e)
	l.metrics.inFlight.Add(1)
	go func() {
		<-b.Done()
		l.end(e)
	}()
}

// superseded says that a look-up begun at that time found the head of the template's branch to be
// rev.
func (l *ledger) superseded(name string, rev git.Revision, begun time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.supersede(name, rev, begun)
}

// supersede marks what was looked up before the look-up began. Of two look-ups at the same time
// nobody can tell which one saw the newer head.
func (l *ledger) supersede(name string, rev git.Revision, begun time.Time) {
	for _, e := range l.order {
		if s := e.build.Status(); e.head && !e.over && s.Name == name && s.Revision != rev &&
			s.Started.Before(begun) {
			e.superseded = rev
		}
	}
}

// hold keeps a call until it is withdrawn with the token returned, or the build ends; then end is
// called, once.
func (l *ledger) hold(c Call, end func()) (token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[c.ID()]
	token = rand.Text()
	if e == nil || e.over || l.left {
		c.Leave()
		end()
		return token
	}
	e.interests[token] = interest{c, end}
	return token
}

// What withdraw may say.
var (
	errNoBuild    = errors.New("no such build")
	errNotYours   = errors.New("not the token of an interest in this build")
	errBuildEnded = errors.New("the build has ended")
)

// withdraw ends the interest that the token stands for. The last one to go cancels the build.
func (l *ledger) withdraw(id, token string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		return errNoBuild
	}
	// The tokens are random and of this build alone, so that a look-up by hash tells nothing about
	// others.
	i, ok := e.interests[token]
	switch {
	case e.over:
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
	e.over = true
	l.ended = append(l.ended, e)
	if len(l.ended) > l.keep {
		old := l.ended[0]
		l.ended = slices.Delete(l.ended, 0, 1)
		delete(l.entries, old.build.ID())
		l.order = slices.DeleteFunc(l.order, func(o *entry) bool { return o == old })
	}
	l.metrics.ended(e.build.Status())
	close(e.settled)
}

func (l *ledger) release(e *entry) {
	for _, i := range e.interests {
		i.call.Leave()
		i.end()
	}
	clear(e.interests)
}

// leave withdraws all interests, also those that come later.
func (l *ledger) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = true
	for _, e := range l.order {
		l.release(e)
	}
}

// wait waits until all builds have ended, or ctx has.
func (l *ledger) wait(ctx context.Context) {
	for e := l.underWay(); e != nil; e = l.underWay() {
		select {
		case <-e.settled:
		case <-ctx.Done():
			return
		}
	}
}

// underWay is a build that has not ended, nil if there is none.
func (l *ledger) underWay() *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.order, func(e *entry) bool { return !e.over })
	if i < 0 {
		return nil
	}
	return l.order[i]
}

// get returns a build and what is to be said of it.
func (l *ledger) get(id string) (Build, pinion.BuildStatus, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		return nil, pinion.BuildStatus{}, false
	}
	return e.build, e.status(), true
}

// list returns all builds, the latest to begin first.
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
		s.SupersededBy = e.superseded
	}
	return s
}
