package container

import (
	"context"
	"os"
	"os/signal"

	"github.com/containerd/console"
	"github.com/moby/moby/client"
)

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool { return terminal(stream) != nil }

// terminal returns nil if the stream is not a terminal.
func terminal(stream any) console.Console {
	f, ok := stream.(console.File)
	if !ok {
		return nil
	}
	c, err := console.ConsoleFromFile(f)
	if err != nil {
		return nil
	}
	return c
}

// connectTerminal sets the caller's terminal to raw mode, so that each key goes to the container,
// Ctrl-C included, and keeps the container's terminal at the same size.
func (c *Container) connectTerminal(ctx context.Context, s Streams) (restore func(), err error) {
	if !c.spec.TTY {
		return func() {}, nil
	}
	if sizes := resizeSignals(); len(sizes) > 0 {
		changed := make(chan os.Signal, 1)
		signal.Notify(changed, sizes...)
		go func() {
			defer signal.Stop(changed)
			for {
				select {
				case <-ctx.Done():
					return
				case <-changed:
					c.resize(ctx, s)
				}
			}
		}()
	}
	keys := terminal(s.In)
	if keys == nil || !c.spec.Stdin {
		return func() {}, nil
	}
	if err := keys.SetRaw(); err != nil {
		return nil, &Error{"connect the terminal to", err}
	}
	// If the terminal is closed, nothing is left to restore.
	return func() { _ = keys.Reset() }, nil
}

// resize is best effort: a container that has ended, or not started, has no size.
func (c *Container) resize(ctx context.Context, s Streams) {
	screen := terminal(s.Out)
	if !c.spec.TTY || screen == nil {
		return
	}
	size, err := screen.Size()
	if err != nil || size.Width == 0 || size.Height == 0 {
		return
	}
	_, _ = c.api.ContainerResize(ctx, c.id,
		client.ContainerResizeOptions{Height: uint(size.Height), Width: uint(size.Width)})
}
