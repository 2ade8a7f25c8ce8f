package buildkit

import (
	"context"
	"sync"

	"github.com/moby/buildkit/session/secrets"
)

// gate is the session's secret store. Until it is closed it has the credentials of the hosts that
// were admitted, each under a name that BuildKit's git source asks for:
// GIT_AUTH_TOKEN.<host[:port]>, or GIT_AUTH_HEADER.<host[:port]> for one with a user name. It never
// answers a name without a host, whose credential BuildKit would send to any host.
type gate struct {
	mu     sync.Mutex
	values map[string][]byte // guarded by mu; nil once it is closed
}

func newGate(req Request) *gate {
	g := &gate{values: map[string][]byte{}}
	g.admit(Access{Remote: req.Remote, Token: req.Token, AuthHeader: req.AuthHeader})
	return g
}

// admit adds the credential for the host of a repository, if there is one and the gate is open.
func (g *gate) admit(a Access) {
	name, value := "GIT_AUTH_TOKEN.", a.Token
	if a.AuthHeader != "" {
		name, value = "GIT_AUTH_HEADER.", a.AuthHeader
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if value != "" && g.values != nil {
		g.values[name+a.Remote.Host()] = []byte(value)
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.values = nil
}

// GetSecret implements secrets.SecretStore.
func (g *gate) GetSecret(_ context.Context, id string) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	value, ok := g.values[id]
	if !ok {
		return nil, secrets.ErrNotFound
	}
	return value, nil
}
