// Package servetest runs the server of `pinion serve` in a test's own process, for tests outside
// cmd that also use its Orchestrator.
package servetest

import (
	"context"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
)

// Serve serves o at address, in the form of `pinion serve --listen`. It returns a function that
// stops the server and returns its error.
func Serve(o *pinion.Orchestrator, address string) (stop func() error, err error) {
	l, err := server.Listen(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.New(o).Serve(ctx, 0, l) }()
	return func() error {
		cancel()
		return <-done
	}, nil
}
