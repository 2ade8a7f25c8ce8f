package outbox

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 64 << 10

// Transport returns a transport for a box. certificates are those of the configuration, nil for
// the system's.
func Transport(certificates *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: sendTimeout}).DialContext,
		TLSClientConfig:        certificates.Clone(),
		TLSHandshakeTimeout:    sendTimeout,
		ResponseHeaderTimeout:  sendTimeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost:        1,
		IdleConnTimeout:        time.Minute,
		ForceAttemptHTTP2:      true,
	}
}

// CheckURL returns an error for an address that messages must not go to: it must have https, or
// http and this machine as its host.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("it is no URL") // the parser's error repeats what may be a secret
	case u.Scheme != "https" && (u.Scheme != "http" || !git.IsLoopback(u.Hostname())):
		return errors.New("use https, or http to this machine")
	case u.Hostname() == "":
		return errors.New("it has no host")
	case u.User != nil || u.Fragment != "":
		return errors.New("it has a user name or a fragment, which are not sent")
	}
	return nil
}
