package container

import (
	"context"
	"os"
	"os/signal"

	"github.com/moby/moby/client"
)

// Signals returns the signals that this process receives from now on, for [Container.Run].
func Signals() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 16)
	for s := range forwarded() {
		signal.Notify(c, s)
	}
	return c, func() { signal.Stop(c) }
}

// forward sends signals by name, since their numbers differ between systems.
func (c *Container) forward(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			// The container may have ended.
			_, _ = c.api.ContainerKill(ctx, c.id,
				client.ContainerKillOptions{Signal: forwarded()[s]})
		}
	}
}
