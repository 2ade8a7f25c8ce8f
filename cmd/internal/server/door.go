package server

import (
	"context"
	"sync"
)

// door counts who is inside, so that a server that ends can wait for them. Once it is shut nobody
// comes in.
type door struct {
	mu     sync.Mutex
	isShut bool
	inside sync.WaitGroup
}

// enter returns whether the door was open. Who has come in calls leave.
func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isShut {
		return false
	}
	d.inside.Add(1)
	return true
}

func (d *door) leave() { d.inside.Done() }

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.isShut = true
}

func (d *door) closed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.isShut
}

// wait waits until all have left, or ctx has ended. The door has to be shut.
func (d *door) wait(ctx context.Context) {
	empty := make(chan struct{})
	go func() {
		d.inside.Wait()
		close(empty)
	}()
	select {
	case <-empty:
	case <-ctx.Done():
	}
}
