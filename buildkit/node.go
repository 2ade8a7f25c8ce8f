package buildkit

import (
	"context"
	"net"

	"github.com/moby/buildkit/client"
)

// Node is one BuildKit of a builder in Docker's buildx.
type Node struct {
	// Builder is the builder's name in buildx and Name the node's. Name is empty if buildx chooses
	// the node.
	Builder, Name string
	// Addr is an address for [Dial], and TLS its files.
	Addr string
	TLS  TLS
	// Dial connects to a node that has no such address; nil if it has one. It is called for each
	// connection. The connections outlive the context.
	Dial func(context.Context) (net.Conn, error)
}

// DialNode connects to a node. The error is an [*Error] of kind [ErrNoBuilder].
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
