package pinion

import (
	"context"
	"sync"
)

// afterwards is work that nobody waits for until the end.
type afterwards struct {
	work sync.WaitGroup
	end  sync.Once
	// ended is closed when the work is to be broken off.
	ended chan struct{}
}

func newAfterwards() *afterwards { return &afterwards{ended: make(chan struct{})} }

// start does the work with the values of a context that may end before it.
func (a *afterwards) start(ctx context.Context, work func(context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.work.Go(func() {
		defer cancel()
		work(ctx)
	})
	go func() {
		select {
		case <-a.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
}

// wait returns when all work has ended, by itself or, once ctx has ended, because it was broken
// off.
func (a *afterwards) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		a.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	a.end.Do(func() { close(a.ended) })
	<-done
	return context.Cause(ctx)
}
