package builder

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Advice returns what is wrong with a builder that works: an old version, or a network without
// protection.
func (c Config) Advice(choice Choice, info buildkit.Info) (advice []string) {
	if old := buildkit.Floor(info); old != "" {
		advice = append(advice, old)
	}
	if plain := c.withoutTLS(choice); plain != "" {
		advice = append(advice, plain)
	}
	return advice
}

// withoutTLS returns advice about a builder that is reached over a network without TLS, or "". The
// builder gets the credential of a private repository.
func (c Config) withoutTLS(choice Choice) string {
	var plain []string
	if isPlainTCP(c.Addr) && c.TLS == (buildkit.TLS{}) {
		plain = append(plain, c.Addr)
	}
	if choice.Kind == KindBuildx && choice.Buildx.Driver == buildx.DriverRemote {
		for _, n := range choice.Buildx.Nodes {
			tls, err := n.TLS()
			if err == nil && tls == (buildx.TLSOptions{}) && isPlainTCP(n.Endpoint) {
				plain = append(plain, n.Endpoint)
			}
		}
	}
	if len(plain) == 0 {
		return ""
	}
	return fmt.Sprintf("%s is reached without TLS, so others on the network can read what is sent "+
		"and change what is built; set up TLS for the address, or for a builder of buildx by its "+
		"driver options cacert, cert and key", strings.Join(plain, ", "))
}

// isPlainTCP reports whether an address is BuildKit's tcp:// on another machine.
func isPlainTCP(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "tcp" && !git.IsLoopback(u.Hostname())
}

// BuildxVersion returns the version of the buildx plugin and advice about it, which may be empty.
// ok is false if there is no plugin, which is no failure.
func (c Config) BuildxVersion(ctx context.Context) (version, advice string, ok bool, err error) {
	plugin, err := c.plugin()
	if errors.Is(err, buildx.ErrNoPlugin) {
		return "", "", false, nil
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		version, err = plugin.Version(ctx)
	}
	if err != nil {
		return "", "", true, err
	}
	return version, buildkit.FloorBuildx(version), true, nil
}
