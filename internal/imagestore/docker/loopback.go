package docker

import (
	"net"
	"net/url"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

// loopback is the address at which an engine on this machine reaches this process.
const loopback = "127.0.0.1"

// pulledName matches the start of an image's name after a pull from this process: the engine names
// the image after the registry.
var pulledName = lazy.Regexp(`^127\.0\.0\.1:[0-9]{1,5}/`)

// CutLoopback removes a registry on this machine from the front of a name. If a killed Receive left
// the name, the rest is the reference of that Receive.
func CutLoopback(name string) (ref string, found bool) {
	host := pulledName().FindString(name)
	return name[len(host):], host != ""
}

// near reports whether the engine's address is of this machine. The engine may still be elsewhere,
// in a VM or behind a forwarded socket.
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
