package builder

import (
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
)

func TestBuilderWithoutTLS(t *testing.T) {
	tls := map[string]string{"cacert": "/ca.pem", "cert": "/cert.pem", "key": "/key.pem"}
	remote := func(options map[string]string, endpoints ...string) *buildx.Builder {
		b := &buildx.Builder{Name: "team", Driver: buildx.DriverRemote}
		for _, e := range endpoints {
			b.Nodes = append(b.Nodes, buildx.Node{Endpoint: e, Options: options})
		}
		return b
	}
	for _, c := range []struct {
		name  string
		addr  string
		tls   buildkit.TLS
		b     *buildx.Builder
		words []string // none: no warning
	}{
		{"an address", "tcp://builder:1234", buildkit.TLS{}, nil, []string{"tcp://builder:1234"}},
		{"with TLS", "tcp://builder:1234", buildkit.TLS{CACert: "/ca.pem"}, nil, nil},
		{"with the system's CAs", "tcp://builder:1234", buildkit.TLS{ServerName: "builder"}, nil,
			nil},
		{"here", "tcp://localhost:1234", buildkit.TLS{}, nil, nil},
		{"here by number", "tcp://127.0.0.1:1234", buildkit.TLS{}, nil, nil},
		{"here by the other number", "tcp://[::1]:1234", buildkit.TLS{}, nil, nil},
		{"a socket", "unix:///run/buildkitd.sock", buildkit.TLS{}, nil, nil},
		{"ssh", "ssh://builder", buildkit.TLS{}, nil, nil},
		{"the managed one", "", buildkit.TLS{}, nil, nil},
		{"buildx", "", buildkit.TLS{}, remote(nil, "tcp://builder:1234"),
			[]string{"tcp://builder:1234", "cacert"}},
		{"buildx with TLS", "", buildkit.TLS{}, remote(tls, "tcp://builder:1234"), nil},
		{"buildx here", "", buildkit.TLS{}, remote(nil, "tcp://127.0.0.1:1234"), nil},
		{"nodes", "", buildkit.TLS{}, remote(nil, "tcp://a:1", "unix:///b", "tcp://[fd00::1]:2"),
			[]string{"tcp://a:1, tcp://[fd00::1]:2 is"}},
		{"another driver", "", buildkit.TLS{},
			&buildx.Builder{Driver: buildx.DriverContainer,
				Nodes: []buildx.Node{{Endpoint: "tcp://a:1"}}}, nil},
	} {
		choice := Choice{Kind: KindAddress}
		if c.b != nil {
			choice = Choice{Kind: KindBuildx, Buildx: *c.b}
		}
		got := Config{Addr: c.addr, TLS: c.tls}.withoutTLS(choice)
		if (got == "") != (c.words == nil) || strings.Contains(got, "\n") {
			t.Errorf("%s: %q", c.name, got)
		}
		for _, word := range c.words {
			if !strings.Contains(got, word) {
				t.Errorf("%s: no %q in %q", c.name, word, got)
			}
		}
	}
}
