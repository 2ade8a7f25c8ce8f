package outbox

import "sync/atomic"

// Counts says what became of messages. It is safe for concurrent use, and may count for several
// boxes.
type Counts struct {
	// Sent were taken by their server, Failed were not, however often they were sent, and Dropped
	// found no place or had no time.
	Sent, Failed, Dropped atomic.Int64
}

// WithCounts counts there what becomes of messages. The default is nowhere.
func WithCounts(c *Counts) Option { return func(b *Box) { b.counts = c } }

// count counts a message that was sent, or that failed.
func (c *Counts) count(err error) {
	if err == nil {
		c.Sent.Add(1)
	} else {
		c.Failed.Add(1)
	}
}
