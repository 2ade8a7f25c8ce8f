package piniontest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"git.moleculesai.app/molecule-ai/pinion/client"
)

// build is a fake build. It ends when the template releases it, or when its last caller leaves.
type build struct {
	name string

	mu        sync.Mutex
	status    client.Build
	events    []client.Event
	changed   chan struct{} // closed and replaced at each event
	callers   int
	interests map[string]bool
	cancel    chan struct{}
	isLeft    bool
}

// newBuild starts a build. end is called at its end, with whether it succeeded.
func newBuild(number int, name string, t Template, end func(ok bool)) *build {
	img := complete(name, t.Image)
	b := &build{name: name, changed: make(chan struct{}), cancel: make(chan struct{}),
		interests: map[string]bool{}}
	b.status = client.Build{ID: fmt.Sprintf("build%d", number), Name: name, State: "running",
		Reference: img.Reference, Revision: img.Revision, Started: now()}
	b.emit(client.Event{Type: client.EventResolved, Revision: img.Revision,
		Reference: img.Reference})
	b.emit(client.Event{Type: client.EventFetching})
	step := client.Step{Number: 1, Total: 1, Name: "RUN build", State: "started"}
	b.emit(client.Event{Type: client.EventStep, Step: &step})
	for _, line := range t.Log {
		b.emit(client.Event{Type: client.EventLog, Text: line,
			Step: &client.Step{Number: 1, Total: 1, Name: step.Name}})
	}
	go func() {
		failure := t.failure()
		if t.Release != nil {
			select {
			case <-t.Release:
			case <-b.cancel:
				failure = &client.Failure{Class: client.ClassCancelled, Message: "cancelled"}
			}
		}
		end(failure == nil)
		b.finish(img, failure)
	}()
	return b
}

func (b *build) emit(e client.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.emitLocked(e)
}

func (b *build) emitLocked(e client.Event) {
	e.ID, e.Name, e.Time = int64(len(b.events)+1), b.name, now()
	b.events = append(b.events, e)
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *build) finish(img client.Image, failure *client.Failure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	step := client.Step{Number: 1, Total: 1, Name: "RUN build", State: "done"}
	last := client.Event{Type: client.EventDone, Image: &img}
	b.status.State, b.status.Image = "done", &img
	if failure != nil {
		step.State = "failed"
		last = client.Event{Type: client.EventFailed, Failure: failure}
		b.status.State, b.status.Image, b.status.Failure = "failed", nil, failure
	}
	b.status.Ended = now()
	b.interests = map[string]bool{}
	b.emitLocked(client.Event{Type: client.EventStep, Step: &step})
	b.emitLocked(last)
}

// after returns the events behind a number, whether the build has ended, and what is closed at the
// next event.
func (b *build) after(id int64) (events []client.Event, ended bool, next <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id < int64(len(b.events)) {
		events = b.events[id:len(b.events):len(b.events)]
	}
	return events, !b.status.Ended.IsZero(), b.changed
}

func (b *build) state() client.Build {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// join adds a caller and returns its interest, unless the build has ended.
func (b *build) join() (interest string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.status.Ended.IsZero() || b.isLeft {
		return "", false
	}
	b.callers++
	sum := sha256.Sum256(fmt.Append(nil, b.status.ID, b.callers, now()))
	interest = hex.EncodeToString(sum[:8])
	b.interests[interest] = true
	return interest, true
}

// withdraw ends an interest, and the build with the last one.
func (b *build) withdraw(interest string) (ended, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.status.Ended.IsZero() {
		return true, false
	}
	if !b.interests[interest] {
		return false, false
	}
	delete(b.interests, interest)
	if len(b.interests) == 0 {
		b.leaveLocked()
	}
	return false, true
}

// leave cancels the build.
func (b *build) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaveLocked()
}

func (b *build) leaveLocked() {
	if !b.isLeft {
		b.isLeft = true
		close(b.cancel)
	}
}
