package resolver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// lfsAddress is where an object is, and what a request for it takes. Both may be secrets.
type lfsAddress struct {
	url    *url.URL
	header http.Header
	// sign makes the request carry the repository's credential, if it is for its host.
	sign bool
}

// parseAddress reads the action for a download.
func (s lfsServer) parseAddress(o object) (lfsAddress, error) {
	actions, _ := o["actions"].(object)
	action, ok := actions["download"].(object)
	if !ok {
		return lfsAddress{}, nil
	}
	raw, err := action.text("href")
	if err != nil {
		return lfsAddress{}, err
	}
	at := lfsAddress{header: http.Header{}}
	if at.url, err = url.Parse(raw); err != nil {
		return lfsAddress{}, errLFSAddress // the parser's error repeats the address
	}
	header, _ := action["header"].(object)
	for key, value := range header {
		text, ok := value.(string)
		if !ok {
			return lfsAddress{}, errLFSAddress
		}
		at.header.Set(key, text)
	}
	at.sign = at.header.Get("Authorization") == "" && o["authenticated"] != true
	return at, nil
}

var errLFSAddress = fmt.Errorf("%w: the address of an LFS object is malformed", ErrInvalidAnswer)

// open asks for an object at its address, and once more at another if that is refused, since
// addresses expire.
func (s lfsServer) open(
	ctx context.Context, p git.LFSPointer, at lfsAddress,
) (io.ReadCloser, error) {
	body, err := s.get(ctx, p, at)
	refused, ok := errors.AsType[*statusError](err)
	if !ok || !refused.isDenial() {
		return body, err
	}
	found, err := s.locate(ctx, []git.LFSPointer{p})
	if err != nil {
		return nil, err
	}
	if at, ok = found[p]; !ok {
		return nil, fmt.Errorf("%w: the LFS server has lost an object", ErrInvalidAnswer)
	}
	body, err = s.get(ctx, p, at)
	if refused, ok := errors.AsType[*statusError](err); ok && refused.isDenial() {
		err = s.unauthorized(s.remote, refused)
	}
	return body, err
}

// get asks for an object and follows redirects.
func (s lfsServer) get(
	ctx context.Context, p git.LFSPointer, at lfsAddress,
) (io.ReadCloser, error) {
	for range maxRedirects + 1 {
		resp, err := s.request(ctx, p, at)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusOK {
			return resp.Body, nil
		}
		_ = resp.Body.Close() // what it says may hold the address
		if location := resp.Header.Get("Location"); isRedirect(resp.StatusCode) && location != "" {
			to, err := at.url.Parse(location)
			if err != nil {
				return nil, errLFSAddress
			}
			if !sameHost(to, at.url) {
				at.header, at.sign = nil, false
			}
			at.url = to
			continue
		}
		refused := &statusError{code: resp.StatusCode}
		switch {
		case refused.isDenial():
			return nil, refused
		case resp.StatusCode == http.StatusTooManyRequests:
			return nil, &RateLimitError{RetryAfter: retryAfter(resp.Header)}
		case resp.StatusCode >= http.StatusInternalServerError:
			return nil, fmt.Errorf("%s %w: %w", quoteAnswer(at.url.Host), ErrUnavailable, refused)
		}
		return nil, fmt.Errorf("%w: %w from %s for an object that the LFS server has",
			ErrInvalidAnswer, refused, quoteAnswer(at.url.Host))
	}
	return nil, fmt.Errorf("%w: an LFS object is behind too many redirects", ErrInvalidAnswer)
}

// request makes one request for an object.
func (s lfsServer) request(
	ctx context.Context, p git.LFSPointer, at lfsAddress,
) (*http.Response, error) {
	own, err := s.isOwn(at.url)
	if err != nil {
		return nil, err
	}
	return s.sendRetrying(ctx, s.retries, p.Size, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.url.String(), nil)
		if err != nil {
			return nil, errLFSAddress
		}
		for key, values := range at.header {
			// Some servers return the header of the question, with the repository's credential.
			if own || s.redactor.String(values[0]) == values[0] {
				req.Header[key] = values
			}
		}
		if own && at.sign {
			s.sign(req, s.remote)
		}
		req.Header.Set("User-Agent", s.userAgent)
		return req, nil
	})
}

// isOwn reports whether an object is at the repository's host. The error is that of an address that
// is not allowed.
func (s lfsServer) isOwn(at *url.URL) (bool, error) {
	insecure := at.Scheme == "http" && s.remote.Scheme() == "http"
	if at.User != nil || at.Host == "" || at.Scheme != "https" && !insecure {
		return false, fmt.Errorf("%w: an LFS object is not at an https address", ErrInvalidAnswer)
	}
	if sameHost(at, &url.URL{Scheme: s.remote.Scheme(), Host: s.remote.Host()}) {
		return true, nil
	}
	if slices.ContainsFunc(s.hosts, func(host string) bool {
		return sameHost(at, &url.URL{Scheme: at.Scheme, Host: host})
	}) {
		if text := at.String(); s.redactor.String(text) != text {
			return false, fmt.Errorf("%w: the address of an LFS object at another host has a "+
				"credential of this one", ErrInvalidAnswer)
		}
		return false, nil
	}
	return false, errdef.In(errdef.LFSHostNotAllowed, at.Host, fmt.Errorf("%w: an LFS object is "+
		"at %s, which is not in the list of hosts for LFS objects", ErrInvalidAnswer,
		quoteAnswer(at.Host)))
}
