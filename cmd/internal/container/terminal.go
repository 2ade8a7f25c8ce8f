package container

import (
	"context"
	"os"
	"os/signal"

	"github.com/containerd/console"
	"github.com/moby/moby/client"
)

// IsTerminal says whether a stream is a terminal.
func IsTerminal(stream any) bool { return terminal(stream) != nil }

// terminal is nil for what is none.
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

// joinTerminal has each key go to the container, Ctrl-C too, and keeps its terminal as large as
// ours.
func (c *Container) joinTerminal(ctx context.Context, s Streams) (restore func(), err error) {
	if !c.spec.TTY {
		return func() {}, nil
	}
	if sizes := resized(); len(sizes) > 0 {
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
		return nil, &Error{"join the terminal to", err}
	}
	// There is nobody to tell if the terminal has gone.
	return func() { _ = keys.Reset() }, nil
}

// resize is a courtesy: a container that has just ended, or not begun, has no size.
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
