package queue

import "context"

// rank orders the turns that wait: the lowest is first.
type rank int

const (
	again  rank = iota // it had a place before
	wanted             // a caller waits for the result
	ahead              // no caller waits for it yet
)

// Turn is the turn of one run. A run has a place between Take and Leave, except during Pause. The
// turn of a nil [Queue] always has one. All methods but Want are for the run alone.
type Turn struct {
	queue  *Queue
	report func(position int)
	rank   rank // guarded by the queue's lock
	placed bool
	// position has the newest position alone, so that the writer never waits. 0 is a place.
	position chan int
}

// Turn returns a turn. Take calls report with its position (1 is the next) whenever that changes,
// and not at all if a place is free. A turn that nobody wants waits behind all that are wanted.
func (q *Queue) Turn(isWanted bool, report func(position int)) *Turn {
	t := &Turn{queue: q, report: report, rank: wanted, position: make(chan int, 1)}
	if !isWanted {
		t.rank = ahead
	}
	return t
}

// Want moves the turn to the end of those that are wanted, unless it is one of them.
func (t *Turn) Want() {
	if t.queue != nil {
		t.queue.promote(t, wanted)
	}
}

// Take waits for a place. The error is the context's.
func (t *Turn) Take(ctx context.Context) error {
	if t.queue == nil {
		return nil
	}
	if t.placed = t.queue.join(t); t.placed {
		return nil
	}
	for {
		select {
		case position := <-t.position:
			if position == 0 {
				t.placed = true
				return nil
			}
			t.report(position)
		case <-ctx.Done():
			t.queue.withdraw(t)
			return ctx.Err()
		}
	}
}

// Leave gives the place back, if the turn has one.
func (t *Turn) Leave() {
	if t.placed {
		t.placed = false
		t.queue.leave()
	}
}

// Pause gives the place back while wait runs, and takes one again, before all turns that have not
// had one. If wait fails, or ctx ends before a place is free, it returns the error, and the turn
// has no place.
func (t *Turn) Pause(ctx context.Context, wait func() error) error {
	t.Leave()
	if t.queue != nil {
		t.queue.promote(t, again)
	}
	if err := wait(); err != nil {
		return err
	}
	return t.Take(ctx)
}

// send replaces a position that has not been read. The caller holds the queue's lock, so there is
// one writer.
func (t *Turn) send(position int) {
	select {
	case <-t.position:
	default:
	}
	t.position <- position
}
