package container

import (
	"context"
	"os"
	"os/signal"

	"github.com/moby/moby/client"
)

// Signals are those that the process gets from now on and that [Container.Run] hands on.
func Signals() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 16)
	for s := range forwarded() {
		signal.Notify(c, s)
	}
	return c, func() { signal.Stop(c) }
}

// forward hands signals on by name, since their numbers differ between systems.
func (c *Container) forward(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			// One that comes when the container has ended finds nobody.
			_, _ = c.api.ContainerKill(ctx, c.id,
				client.ContainerKillOptions{Signal: forwarded()[s]})
		}
	}
}
