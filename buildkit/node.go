package buildkit

import (
	"context"
	"net"
	"strings"

	"github.com/moby/buildkit/client"
)

// Node is one BuildKit of a builder that Docker's buildx knows.
type Node struct {
	// Builder is the builder's name in buildx, Name the node's; Name is empty where buildx chooses
	// the node.
	Builder, Name string
	// Addr and TLS are for [Dial]'s addresses.
	Addr string
	TLS  TLS
	// Dial reaches what has no such address; nil if it has one. It is called for each connection,
	// and its connections outlive the context.
	Dial func(context.Context) (net.Conn, error)
}

// DialNode connects to a node. The error is an [*Error] of kind [ErrNoBuilder] that says how to
// start the builder.
func DialNode(ctx context.Context, n Node, opts ...Option) (*Builder, error) {
	b := &Builder{info: Info{Kind: KindBuildx, Endpoint: n.Builder}}
	if n.Name != "" {
		b.info.Endpoint += "/" + n.Name
	}
	dial := n.TLS.options()
	if n.Dial != nil {
		dial = append(dial,
			client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return n.Dial(ctx)
			}))
	}
	return b.connect(ctx, n.Addr, dial, opts)
}

// bootstrap is the command that starts a builder of [KindBuildx]. A name in buildx has no slash.
func (i Info) bootstrap() string {
	name, _, _ := strings.Cut(i.Endpoint, "/")
	return "docker buildx inspect --bootstrap " + name
}
