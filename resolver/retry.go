package resolver

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sendRetrying sends the request that build makes, and again after a 5xx answer
// as the client's back-off says. Gitea 1.26 answers 500 in the second after a
// first push. The last answer is returned, whatever its status. limit is the most
// that is read of its body.
func (c *Client) sendRetrying(
	ctx context.Context, retries int, limit int64, build func() (*http.Request, error),
) (*http.Response, error) {
	for n := 0; ; n++ {
		req, err := build()
		if err != nil {
			return nil, err
		}
		resp, err := c.send(ctx, req, limit)
		if err != nil || !isTransient(resp.StatusCode) || n >= retries {
			return resp, err
		}
		wait := max(c.backoff(n), retryAfter(resp.Header))
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			return resp, nil
		}
		_ = resp.Body.Close() // the body is not needed
		if err := pause(ctx, wait); err != nil {
			return nil, requestError(ctx, err)
		}
	}
}

// isTransient reports whether a status is a 5xx that a later request may not get.
func isTransient(status int) bool {
	switch status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retryAfter reads the Retry-After header, a number of seconds or a date
// (RFC 9110, section 10.2.3). It returns 0 if there is none, or
// a malformed one.
func retryAfter(h http.Header) time.Duration {
	const longest = 24 * time.Hour
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longest)
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(time.Until(date), 0), longest)
	}
	return 0
}
