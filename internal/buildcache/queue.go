package buildcache

import (
	"context"
	"sync"
)

// savesAtOnce bounds the caches that are saved at a time. Two keep a disk busy.
const savesAtOnce = 2

// maxLines bounds the lines that are at work, those that wait for a place included.
const maxLines = 32

// job is a save that waits. Either run or drop is called, once.
type job struct {
	run  func(context.Context)
	drop func(reason string)
}

// queue runs saves in the background, each of which keeps a builder's connection. Of a line one
// save runs and one waits, the newest.
type queue struct {
	work    sync.WaitGroup
	slots   chan struct{}
	aborted chan struct{} // closed when the work is to end
	abort   sync.Once

	mu sync.Mutex
	// waiting has an entry for each line that is at work: the job that waits, or nil.
	waiting map[string]*job
}

func newQueue() *queue {
	return &queue{slots: make(chan struct{}, savesAtOnce), aborted: make(chan struct{}),
		waiting: map[string]*job{}}
}

// add queues a job behind the one of the same line that runs, in place of one that waits. If too
// many lines are at work, it drops the job. The job has the values of ctx and outlives it.
func (q *queue) add(ctx context.Context, line string, j job) {
	q.mu.Lock()
	older, working := q.waiting[line]
	if !working && len(q.waiting) >= maxLines {
		q.mu.Unlock()
		j.drop("too many others wait to be saved")
		return
	}
	q.waiting[line] = &j
	if !working {
		q.work.Go(func() { q.run(context.WithoutCancel(ctx), line) })
	}
	q.mu.Unlock()
	if older != nil {
		older.drop("that of a later build is saved instead")
	}
}

// run works on a line until nothing waits there.
func (q *queue) run(ctx context.Context, line string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-q.aborted:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		var slot bool
		select {
		case q.slots <- struct{}{}:
			slot = true
		case <-q.aborted:
		}
		j := q.next(line)
		switch {
		case j == nil:
		case slot:
			j.run(ctx)
		default:
			j.drop("broken off")
		}
		if slot {
			<-q.slots
		}
		if j == nil {
			return
		}
	}
}

// next takes the job that waits. Without one the line is at work no longer.
func (q *queue) next(line string) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.waiting[line]
	if j == nil {
		delete(q.waiting, line)
		return nil
	}
	q.waiting[line] = nil
	return j
}

// close returns when all jobs have ended: by themselves or, once ctx has ended, cancelled.
func (q *queue) close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		q.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	q.abort.Do(func() { close(q.aborted) })
	<-done
	return context.Cause(ctx)
}
