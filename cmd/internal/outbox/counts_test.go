package outbox

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

func TestCounts(t *testing.T) {
	var c Counts
	r := newReceiver(t, 403)
	b := New("letters", Transport(nil), slog.New(slog.DiscardHandler), WithCounts(&c),
		WithPause(time.Millisecond))
	for _, body := range []string{"1", "2", "3"} {
		b.Put(r.message(body), false)
	}
	b.Close(t.Context())
	b.Put(r.message("late"), false)
	if c.Sent.Load() != 2 || c.Failed.Load() != 1 || c.Dropped.Load() != 1 {
		t.Errorf("sent %d, failed %d, dropped %d", c.Sent.Load(), c.Failed.Load(), c.Dropped.Load())
	}
}

// TestCountsOfABoxThatIsClosed: what waits is dropped if there is no time.
func TestCountsOfABoxThatIsClosed(t *testing.T) {
	var c Counts
	b := New("letters", Transport(nil), slog.New(slog.DiscardHandler), WithCounts(&c))
	started := make(chan struct{}, 1)
	for range 3 {
		b.Put(func(ctx context.Context) (Message, error) {
			started <- struct{}{}
			<-ctx.Done()
			return Message{}, ctx.Err()
		}, false)
	}
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.Close(ctx)
	if c.Failed.Load() != 1 || c.Dropped.Load() != 2 {
		t.Errorf("failed %d, dropped %d", c.Failed.Load(), c.Dropped.Load())
	}
}
