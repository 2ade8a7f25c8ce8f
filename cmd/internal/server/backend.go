package server

import (
	"context"
	"iter"

	"git.moleculesai.app/molecule-ai/pinion"
)

// Backend is what the server needs of an orchestrator; [For] makes it of the real one.
type Backend interface {
	Start(ctx context.Context, name string, opts ...pinion.EnsureOption) (Call, error)
	List(ctx context.Context) ([]pinion.Built, error)
	Templates() []pinion.Resolution
	Ready(ctx context.Context) error
	Redact(s string) string
}

// Call is a [pinion.Call].
type Call interface {
	Build() Build
	Hit() bool
	Wait(ctx context.Context) (pinion.Image, error)
	Leave()
}

// Build is a [pinion.Build].
type Build interface {
	ID() string
	Status() pinion.BuildStatus
	Events(ctx context.Context, after int64) iter.Seq[pinion.Event]
	Done() <-chan struct{}
}

// Orchestrator is all that is used of a [pinion.Orchestrator].
type Orchestrator interface {
	Start(ctx context.Context, name string, opts ...pinion.EnsureOption) (*pinion.Call, error)
	List(ctx context.Context) ([]pinion.Built, error)
	Templates() []pinion.Resolution
	Ready(ctx context.Context) error
	Redact(s string) string
}

// For makes a backend of an orchestrator.
func For(o Orchestrator) Backend { return backend{o} }

type backend struct{ Orchestrator }

// Start narrows the result.
func (b backend) Start(ctx context.Context, name string,
	opts ...pinion.EnsureOption) (Call, error) {
	c, err := b.Orchestrator.Start(ctx, name, opts...)
	if err != nil {
		return nil, err
	}
	return call{c}, nil
}

type call struct{ *pinion.Call }

// Build narrows the result.
func (c call) Build() Build { return c.Call.Build() }
