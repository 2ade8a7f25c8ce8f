package resolver

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// DefaultTokenEnv is the environment variable with the credential for the default prefix's host.
// This package names it in errors, and reads none.
const DefaultTokenEnv = "MOLECULE_GITEA_TOKEN" //nolint:gosec // a name, not a token

const (
	defaultUserAgent = "git/2.50.0 (pinion)"
	defaultRetries   = 3
	firstBackoff     = 250 * time.Millisecond
)

// Timeouts bound a look-up. A zero field takes its default.
type Timeouts struct {
	Total    time.Duration // the whole look-up with its retries; 30 s
	Header   time.Duration // from sending a request to its response's header; 10 s
	Progress time.Duration // the time in which MinBytes of a body must come; 5 s
	MinBytes int           // bytes; 512. The end of the body is progress too.
}

func defaultTimeouts() Timeouts {
	return Timeouts{Total: 30 * time.Second, Header: 10 * time.Second, Progress: 5 * time.Second,
		MinBytes: 512}
}

// Backoff gives the wait before retry n, counted from 0.
type Backoff func(n int) time.Duration

// defaultBackoff doubles from 250 ms, and adds up to half of that at random so
// that many clients of one broken server don't retry at the same moment.
func defaultBackoff(n int) time.Duration {
	wait := firstBackoff << n
	return wait + rand.N(wait/2) //nolint:gosec // jitter is no secret
}

// ClientOption changes a Client's default.
type ClientOption func(*Client)

// WithUserAgent sets the User-Agent header. By default it begins as git's does.
func WithUserAgent(agent string) ClientOption {
	return func(c *Client) { c.userAgent = agent }
}

// WithHTTPTransport sets what carries the requests. By default it is a
// transport of the client's own that takes proxies from HTTPS_PROXY, HTTP_PROXY
// and NO_PROXY, by the convention of the field, and nothing else from the
// environment. Only RoundTrip is used, so a redirect is never followed.
func WithHTTPTransport(rt http.RoundTripper) ClientOption {
	return func(c *Client) { c.transport = rt }
}

// WithTimeouts sets the deadlines; see Timeouts for the defaults.
func WithTimeouts(t Timeouts) ClientOption {
	return func(c *Client) {
		d := defaultTimeouts()
		c.timeouts = Timeouts{
			Total:    positiveOr(t.Total, d.Total),
			Header:   positiveOr(t.Header, d.Header),
			Progress: positiveOr(t.Progress, d.Progress),
			MinBytes: positiveOr(t.MinBytes, d.MinBytes),
		}
	}
}

func positiveOr[T int | time.Duration](value, fallback T) T {
	if value > 0 {
		return value
	}
	return fallback
}

// WithBackoff sets how often a request is sent again after a 5xx answer, and
// how long to wait before. By default 3 times, after 250 ms, 500 ms and 1 s,
// each with up to half as much at random on top.
func WithBackoff(retries int, wait Backoff) ClientOption {
	return func(c *Client) { c.retries, c.backoff = retries, wait }
}

// WithTokenHint sets how an error names the environment variable that a host's
// token is taken from; [DefaultTokenEnv] for every host by default.
func WithTokenHint(hint func(host string) string) ClientOption {
	return func(c *Client) { c.tokenHint = hint }
}

// WithServers sets what is configured for git servers; nothing by default.
func WithServers(s Servers) ClientOption {
	return func(c *Client) { c.servers = s }
}

// maxHeaderBytes caps a response's header.
const maxHeaderBytes = 64 << 10

func newTransport(t Timeouts) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: t.Header}).DialContext,
		TLSHandshakeTimeout:    t.Header,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        t.Total,
		ForceAttemptHTTP2:      true,
	}
}

// withDeadline bounds a look-up as a whole.
func (c *Client) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.timeouts.Total,
		&timeoutError{"finish", c.timeouts.Total})
}
