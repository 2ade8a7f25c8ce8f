package docker

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"

	"github.com/moby/moby/client"
)

// The ports that IANA registered for Docker, without and with TLS.
const (
	plainPort = "2375"
	tlsPort   = "2376"
)

// parseHost completes a host, as in DOCKER_HOST, to the URL that the client takes. "" is the
// platform's default, which is a port of this machine if TLS is on.
func parseHost(raw string, withTLS bool) (string, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" && withTLS {
		return "tcp://localhost:" + tlsPort, nil
	}
	if raw == "" {
		return client.DefaultDockerHost, nil
	}
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		scheme, rest = "tcp", raw
	}
	switch scheme {
	case "tcp":
		return parseTCP(rest)
	case "unix", "npipe":
		if rest == "" {
			return client.DefaultDockerHost, nil
		}
		return scheme + "://" + rest, nil
	case "ssh":
		return raw, nil
	}
	return "", fmt.Errorf("%w: host %q: the scheme is none of unix://, tcp://, ssh:// and npipe://",
		ErrConfig,
		withoutPassword(raw))
}

func parseTCP(rest string) (string, error) {
	u, err := url.Parse("tcp://" + rest)
	if err != nil {
		// url.Parse quotes its input, which may hold a password.
		return "", fmt.Errorf("%w: malformed tcp host: %w", ErrConfig, urlCause(err))
	}
	host, port := u.Hostname(), u.Port()
	if host == "" {
		host = "localhost"
	}
	if port == "" {
		port = plainPort
	}
	return "tcp://" + net.JoinHostPort(host, port) + strings.TrimSuffix(u.Path, "/"), nil
}

func urlCause(err error) error {
	var parse *url.Error
	if errors.As(err, &parse) {
		return parse.Err
	}
	return err
}

// withoutPassword removes the user and the password from a host.
func withoutPassword(raw string) string {
	if at := strings.LastIndex(raw, "@"); at >= 0 {
		return "..." + raw[at:]
	}
	return raw
}

// endpointOf returns the address of the engine in records. The same host gives the same string.
func endpointOf(host string) string {
	scheme, rest, _ := strings.Cut(host, "://")
	if scheme == "unix" {
		return scheme + "://" + path.Clean(rest)
	}
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		u.Host = strings.ToLower(u.Host)
		if u.User != nil {
			u.User = url.User(u.User.Username())
		}
		return u.String()
	}
	return host
}
