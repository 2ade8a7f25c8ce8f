package registry

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

const (
	// mostFailures is how many failures in a row end a request, or the upload of a blob.
	mostFailures = 6
	// firstWait is the wait after the first of them; each later one is twice as long.
	firstWait = 500 * time.Millisecond
	// longestWait bounds what a registry can ask for with Retry-After.
	longestWait = time.Minute
)

// message is one request.
type message struct {
	method, url, kind, contentRange string
	body                            *body // may be nil
}

// again reports whether the message can be sent once more.
func (m message) again() bool { return m.body == nil || m.body.stream == nil }

// send sends a request with the credential that the registry asks for, and returns an answer with
// a status of 2xx, whose body the caller closes. Any other answer is an *answerError, and its
// header is returned with it.
func (r *Repository) send(ctx context.Context, m message) (*http.Response, error) {
	ctx = docker.WithScope(ctx, "repository:"+reference.Path(r.named)+":pull,push")
	resp, err := r.once(ctx, m)
	if statusOf(err) == http.StatusUnauthorized && resp != nil && m.again() &&
		r.newAuth().AddResponses(ctx, []*http.Response{resp}) == nil {
		return r.once(ctx, m)
	}
	return resp, err
}

func (r *Repository) once(ctx context.Context, m message) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, m.method, m.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "pinion")
	if m.kind != "" {
		req.Header.Set("Content-Type", m.kind)
	}
	if m.contentRange != "" {
		req.Header.Set("Content-Range", m.contentRange)
	}
	if err := r.authorize(ctx, req); err != nil {
		return nil, err
	}
	if req.ContentLength = m.body.length(); req.ContentLength > 0 {
		req.Body = m.body.open(r.moved)
		defer m.body.reading.Wait() // the window is used again
		if m.again() {
			// net/http sends it again if the registry has closed a connection that was kept.
			req.GetBody = func() (io.ReadCloser, error) { return m.body.open(r.moved), nil }
		}
	}
	resp, err := r.client.Do(req)
	if err == nil && resp.StatusCode/100 != 2 {
		err = answered(resp)
	}
	return resp, err
}

// ask is send for a request that can be repeated. It is, after a failure that may pass.
func (r *Repository) ask(ctx context.Context, m message) (*http.Response, error) {
	for n := 1; ; n++ {
		resp, err := r.send(ctx, m)
		if err == nil || n == mostFailures || !passes(ctx, err) || !m.again() {
			return resp, err
		}
		if err := pause(ctx, n, resp); err != nil {
			return nil, err
		}
	}
}

// passes reports whether a failure may be gone after a while.
func passes(ctx context.Context, err error) bool {
	status := statusOf(err)
	return ctx.Err() == nil && (status == 0 && isBroken(err) || isTransient(status))
}

// has reports whether the repository is known to have a blob. Some registries do not answer that,
// or not to who may only push.
func (r *Repository) has(ctx context.Context, d digest.Digest) (bool, error) {
	resp, err := r.ask(ctx, message{method: http.MethodHead, url: r.url("blobs/" + d.String())})
	switch status := statusOf(err); {
	case err != nil && status >= 400 && status < 500 && !isTransient(status) &&
		status != http.StatusUnauthorized, status == http.StatusNotImplemented:
		return false, nil
	case err != nil:
		return false, err
	}
	return true, resp.Body.Close()
}

// pause waits before the next try, the longer the more there were, and as long as the last answer
// asks for.
func pause(ctx context.Context, failures int, last *http.Response) error {
	wait := firstWait << (failures - 1)
	wait += rand.N(wait / 2) //nolint:gosec // jitter
	if last != nil {
		seconds, err := strconv.Atoi(strings.TrimSpace(last.Header.Get("Retry-After")))
		if err == nil && seconds > 0 {
			wait = max(wait, min(time.Duration(seconds)*time.Second, longestWait))
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
