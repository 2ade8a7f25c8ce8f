package buildkit

import (
	"time"

	"github.com/moby/buildkit/client"
)

// Client returns the connection itself.
func (b *Builder) Client() *client.Client { return b.client }

// SetSourcePauses replaces the times between tries of a build whose source is not available, until
// restore is called.
func SetSourcePauses(pauses ...time.Duration) (restore func()) {
	old := sourcePauses
	sourcePauses = pauses
	return func() { sourcePauses = old }
}
