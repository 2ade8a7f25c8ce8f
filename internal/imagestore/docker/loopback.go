package docker

import (
	"net"
	"net/url"
	"regexp"
	"strings"
)

// loopback is the address at which an engine on this machine finds what this process serves.
const loopback = "127.0.0.1"

// An engine calls a pulled image after the registry that it came from.
var pulledName = regexp.MustCompile(`^127\.0\.0\.1:[0-9]{1,5}/`)

// CutLoopback takes a registry on this machine off the front of a name. What is left is the
// reference that Receive was asked for, if the name is one that a Receive had an engine pull by,
// and that was killed before it could remove it again.
func CutLoopback(name string) (ref string, found bool) {
	host := pulledName.FindString(name)
	return name[len(host):], host != ""
}

// near says that the engine's address is of this machine. The engine may still be elsewhere, in a
// VM or behind a forwarded socket.
func near(endpoint string) bool {
	scheme, _, _ := strings.Cut(endpoint, "://")
	if scheme == "unix" || scheme == "npipe" {
		return true
	}
	u, err := url.Parse(endpoint)
	if err != nil || scheme != "tcp" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
