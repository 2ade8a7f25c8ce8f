package server

import (
	"context"
	"iter"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Orchestrator is the part of a [pinion.Orchestrator] that the server uses. C is the type of its
// calls: *[pinion.Call], or [Call] behind the adapter and in tests.
type Orchestrator[C any] interface {
	Start(ctx context.Context, name string, opts ...pinion.EnsureOption) (C, error)
	List(ctx context.Context) ([]pinion.Built, error)
	Templates() []pinion.Resolution
	Behind(ctx context.Context, name string, since git.Revision) (pinion.Behind, error)
	DiskUsage(ctx context.Context) (pinion.DiskUsage, error)
	Prune(ctx context.Context, opts pinion.PruneOptions) (pinion.PruneReport, error)
	Doctor(ctx context.Context) []pinion.Check
	Ready(ctx context.Context) error
	Redact(s string) string
}

// Build is the part of a [pinion.Build] that the server uses.
type Build interface {
	ID() string
	Status() pinion.BuildStatus
	Events(ctx context.Context, after int64) iter.Seq[pinion.Event]
	Done() <-chan struct{}
	Cancel()
}

// Call is a [pinion.Call] together with its [pinion.Build].
type Call interface {
	Build
	Hit() bool
	Wait(ctx context.Context) (pinion.Image, error)
	// Leave may be called more than once, and after Wait.
	Leave()
}

// adapter turns the concrete calls of an orchestrator into the interface.
type adapter struct{ Orchestrator[*pinion.Call] }

// Start implements Orchestrator.
func (a adapter) Start(
	ctx context.Context, name string, opts ...pinion.EnsureOption,
) (Call, error) {
	c, err := a.Orchestrator.Start(ctx, name, opts...)
	if err != nil {
		return nil, err
	}
	return struct {
		*pinion.Call
		*pinion.Build
	}{c, c.Build()}, nil
}
