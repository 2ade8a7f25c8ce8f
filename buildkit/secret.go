package buildkit

import (
	"context"
	"sync/atomic"

	"github.com/moby/buildkit/session/secrets"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// gate is the session's secret store. Until it is closed it has one secret, the credential of one
// host, under the name that BuildKit's git source asks for first (GIT_AUTH_TOKEN.<host[:port]>). It
// never answers the name without a host, whose credential BuildKit would send to any host.
type gate struct {
	name   string
	token  []byte
	closed atomic.Bool
}

func newGate(r git.Remote, token string) *gate {
	return &gate{name: "GIT_AUTH_TOKEN." + r.Host(), token: []byte(token)}
}

func (g *gate) close() { g.closed.Store(true) }

// GetSecret implements secrets.SecretStore.
func (g *gate) GetSecret(_ context.Context, id string) ([]byte, error) {
	if g.closed.Load() || len(g.token) == 0 || id != g.name {
		return nil, secrets.ErrNotFound
	}
	return g.token, nil
}
