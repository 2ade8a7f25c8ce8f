package buildkit

import (
	"context"
	"sync/atomic"

	"github.com/moby/buildkit/session/secrets"
)

// gate is the session's secret store. Until it is closed it has one secret, the credential of one
// host, under a name that BuildKit's git source asks for (GIT_AUTH_TOKEN.<host[:port]>, or
// GIT_AUTH_HEADER.<host[:port]> for one with a user name). It never answers a name without a host,
// whose credential BuildKit would send to any host.
type gate struct {
	name   string
	value  []byte
	closed atomic.Bool
}

func newGate(req Request) *gate {
	if req.AuthHeader != "" {
		return &gate{name: "GIT_AUTH_HEADER." + req.Remote.Host(), value: []byte(req.AuthHeader)}
	}
	return &gate{name: "GIT_AUTH_TOKEN." + req.Remote.Host(), value: []byte(req.Token)}
}

func (g *gate) close() { g.closed.Store(true) }

// GetSecret implements secrets.SecretStore.
func (g *gate) GetSecret(_ context.Context, id string) ([]byte, error) {
	if g.closed.Load() || len(g.value) == 0 || id != g.name {
		return nil, secrets.ErrNotFound
	}
	return g.value, nil
}
