package resolver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// What is read of an answer's body, after decompression.
const (
	maxBody = 64 << 10
	// maxAdvertised is for a list of all refs, which is read line by line: some
	// hundred thousand refs take 50 MB.
	maxAdvertised = 256 << 20
)

var errTooLarge = errors.New("the answer is too large")

// timeoutError is the cause with which our own deadlines cancel a request.
type timeoutError struct {
	what string
	in   time.Duration
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("the server didn't %s in %s", e.what, e.in)
}

// send makes one request, and never a second one: a RoundTripper follows no
// redirect. The body of the response holds to the cap and to the deadlines, and
// must be closed.
func (c *Client) send(
	ctx context.Context, req *http.Request, limit int64,
) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	header := cancelAfter(cancel, "send a header", c.timeouts.Header)
	resp, err := c.transportOf(req.URL).RoundTrip(req.WithContext(ctx))
	header.Stop()
	if err != nil {
		err = requestError(ctx, err)
		cancel(nil)
		return nil, err
	}
	stall := cancelAfter(cancel, "keep its answer coming", c.timeouts.Progress)
	stall.Stop() // until the first Read
	resp.Body = &guardedBody{
		ctx:      ctx,
		cancel:   cancel,
		inner:    resp.Body,
		left:     limit,
		limit:    limit,
		timeouts: c.timeouts,
		stall:    stall,
	}
	return resp, nil
}

// transportOf returns what carries a request.
func (c *Client) transportOf(u *url.URL) http.RoundTripper {
	if own := byName(c.own, u.Scheme, strings.ToLower(u.Host)); own != nil {
		return own
	}
	return c.transport
}

func cancelAfter(cancel context.CancelCauseFunc, what string, d time.Duration) *time.Timer {
	return time.AfterFunc(d, func() { cancel(&timeoutError{what, d}) })
}

// requestError marks our own deadlines and the network's failures as
// ErrUnavailable. It returns the caller's cancellation as it is.
func requestError(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	var timeout *timeoutError
	switch {
	case errors.As(cause, &timeout):
		return fmt.Errorf("%w: %w: try again, or check the network on the way to it",
			errServerUnavailable, cause)
	case cause != nil:
		return cause
	default:
		return fmt.Errorf("%w: %w: check the URL, the network, and proxy settings",
			errServerUnavailable, err)
	}
}

// guardedBody reads a response's body under a cap and a progress deadline, so
// that neither a flood nor a trickle holds the caller. The time between two calls
// of Read, which is the caller's, does not count.
type guardedBody struct {
	ctx      context.Context // the request's own; it carries the cause of a cancellation
	cancel   context.CancelCauseFunc
	inner    io.ReadCloser
	left     int64
	limit    int64
	recent   int           // bytes since there was progress
	waited   time.Duration // for them
	timeouts Timeouts
	stall    *time.Timer
}

// Read fails with errTooLarge beyond the cap and with ErrUnavailable when the
// server stalls.
func (b *guardedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, b.probe()
	}
	n, err := b.await(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = requestError(b.ctx, err)
	}
	return n, err
}

// await reads while the stall timer runs.
func (b *guardedBody) await(p []byte) (int, error) {
	begun := time.Now()
	b.stall.Reset(b.timeouts.Progress - b.waited)
	n, err := b.inner.Read(p)
	b.stall.Stop()
	b.waited += time.Since(begun)
	if b.recent += n; b.recent >= b.timeouts.MinBytes {
		b.recent, b.waited = 0, 0
	}
	return n, err
}

// probe returns io.EOF for a body of exactly the cap's length, and errTooLarge
// for a longer one.
func (b *guardedBody) probe() error {
	var one [1]byte
	switch n, err := b.await(one[:]); {
	case n > 0:
		return fmt.Errorf("%w: more than %d KiB", errTooLarge, b.limit>>10)
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return requestError(b.ctx, err)
	}
	return nil
}

// Close ends the request and drops the rest of its answer.
func (b *guardedBody) Close() error {
	b.stall.Stop()
	err := b.inner.Close()
	b.cancel(nil)
	return err
}
