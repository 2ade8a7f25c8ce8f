package pinion

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
)

// withoutTLS is advice about a builder that is reached over a network as it is, or empty. What such
// a builder answers may be anybody's, and it gets the credential of a private repository.
func (s settings) withoutTLS(c choice) string {
	var plain []string
	if plainTCP(s.addr) && s.tls == (buildkit.TLS{}) {
		plain = append(plain, s.addr)
	}
	if c.buildx != nil && c.buildx.Driver == buildx.DriverRemote {
		for _, n := range c.buildx.Nodes {
			if tls, err := n.TLS(); err == nil && tls == (buildx.TLSOptions{}) && plainTCP(n.Endpoint) {
				plain = append(plain, n.Endpoint)
			}
		}
	}
	if len(plain) == 0 {
		return ""
	}
	return fmt.Sprintf("%s is reached without TLS, so anybody on the way can read what is sent "+
		"and change what is built; "+
		"set up TLS (--tlsdir, or buildx's driver options cacert, cert and key)",
		strings.Join(plain, ", "))
}

// plainTCP says whether an address is BuildKit's tcp:// on another machine.
func plainTCP(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "tcp" || strings.EqualFold(u.Hostname(), "localhost") {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err != nil || !ip.Unmap().IsLoopback()
}
