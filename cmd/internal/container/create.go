package container

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Spec says what to run.
type Spec struct {
	// Image is the image's ID. A name would be looked up again by the engine, and may have moved by
	// then.
	Image string
	// Platform of the image, os/arch[/variant]: an ID can stand for images of several.
	Platform string
	// Name of the container; empty lets the engine choose one.
	Name string
	// Args take the place of the image's own command; none leaves it.
	Args []string
	// Env are variables in the form NAME=value.
	Env []string
	// TTY gives the container a terminal. Its stdout and stderr are one stream then.
	TTY bool
	// Stdin keeps the container's input open.
	Stdin bool
	// Detached says that nobody joins it.
	Detached bool
	// Remove has the engine remove the container when it ends.
	Remove bool
}

// Container is one that was created. It ends with Start, Run or Remove.
type Container struct {
	api  *client.Client
	spec Spec
	id   string
	// Warnings are what the engine had to say.
	Warnings []string
}

// Error is what this package returns: Op is the step (create, attach, start, wait), Err the cause.
type Error struct {
	Op  string
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("%s the container: %v", e.Op, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Create creates the container and does not start it.
func Create(ctx context.Context, api *client.Client, s Spec) (*Container, error) {
	p, err := platforms.Parse(s.Platform)
	if err != nil {
		return nil, &Error{"create", err}
	}
	p = platforms.Normalize(p)
	made, err := api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image: s.Image, Cmd: s.Args, Env: s.Env, Tty: s.TTY,
			AttachStdin: s.Stdin && !s.Detached, AttachStdout: !s.Detached,
			AttachStderr: !s.Detached,
			OpenStdin:    s.Stdin, StdinOnce: s.Stdin && !s.Detached,
		},
		HostConfig: &container.HostConfig{AutoRemove: s.Remove},
		Platform:   &p,
		Name:       s.Name,
	})
	if err != nil {
		return nil, &Error{"create", err}
	}
	return &Container{api: api, spec: s, id: made.ID, Warnings: made.Warnings}, nil
}

// ID is the container's.
func (c *Container) ID() string { return c.id }

// Start lets it run on its own. A container that cannot be started is removed.
func (c *Container) Start(ctx context.Context) error {
	if _, err := c.api.ContainerStart(ctx, c.id, client.ContainerStartOptions{}); err != nil {
		c.Remove(ctx)
		return &Error{"start", err}
	}
	return nil
}

// Remove removes a container that has not run, also when the caller has gone.
func (c *Container) Remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	// The engine may have done it already (Remove in the Spec), and there is nobody who could do
	// more about it.
	_, _ = c.api.ContainerRemove(ctx, c.id,
		client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
}
