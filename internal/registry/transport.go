package registry

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

const mostRedirects = 10

// errPlain: a registry leads to a place that is not reached over TLS.
var errPlain = errors.New("plain HTTP is spoken to registries on this machine alone")

// secure is a transport that sends nothing over plain HTTP, but from a registry on loopback to
// loopback. A registry names its token server, and that of an https registry may be on another
// host, as Docker Hub's is, but must not be one to which the credential would go unencrypted.
type secure struct {
	next  http.RoundTripper
	plain bool // the registry is on loopback
}

// RoundTrip implements http.RoundTripper.
func (s secure) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return s.next.RoundTrip(r)
	}
	local, err := docker.MatchLocalhost(r.URL.Host)
	if s.plain && local && err == nil {
		return s.next.RoundTrip(r)
	}
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return nil, fmt.Errorf("%w: nothing was sent to %s://%s", errPlain, r.URL.Scheme, r.URL.Host)
}

// follow follows the redirects of a request that only reads, without the credential if they lead to
// another host: net/http would send it on to a subdomain.
func follow(r *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) >= mostRedirects || first.Method != http.MethodGet &&
		first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	if r.URL.Host != first.URL.Host {
		r.Header.Del("Authorization")
	}
	return nil
}

// stayHome does not follow a redirect to another host: a request for a token has the credential in
// its body, which net/http would send on.
func stayHome(r *http.Request, via []*http.Request) error {
	if len(via) >= mostRedirects || r.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}
