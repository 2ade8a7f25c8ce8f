package container

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// Spec describes a container.
type Spec struct {
	// Image is the image's ID. The engine would resolve a name again, and the name may have moved.
	Image string
	// Platform of the image, os/arch[/variant]: one ID can refer to images of several platforms.
	Platform string
	// Name of the container. If it is empty, the engine chooses one.
	Name string
	// Args replace the image's own command, unless they are empty.
	Args []string
	// Env are variables in the form NAME=value.
	Env []string
	// TTY allocates a terminal, which joins stdout and stderr into one stream.
	TTY bool
	// Stdin keeps the container's input open.
	Stdin bool
	// Detached leaves the container's streams unconnected.
	Detached bool
	// Remove makes the engine remove the container when it ends.
	Remove bool

	// Entrypoint replaces the image's own, unless it is nil.
	Entrypoint []string
	// WorkingDir, User and Hostname are the image's or the engine's own if they are empty.
	WorkingDir, User, Hostname string
	// Labels are added to those of the image.
	Labels map[string]string
	// Volumes are the paths of anonymous volumes.
	Volumes []string
	// Host has the mounts, the published ports and the limits.
	Host container.HostConfig
	// Networks are those that the container joins besides what Host.NetworkMode says, and settings
	// of that one.
	Networks map[string]*network.EndpointSettings
}

// Container is a container that has not started. The caller must call Start, Run or Remove.
type Container struct {
	api  *client.Client
	spec Spec
	id   string
	// Warnings are the engine's.
	Warnings []string
}

// Error is the error of this package. Op is the failed step (create, attach to, start, wait for),
// and Err the cause.
type Error struct {
	Op  string
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("%s the container: %v", e.Op, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Create creates the container without starting it.
func Create(ctx context.Context, api *client.Client, s Spec) (*Container, error) {
	p, err := platforms.Parse(s.Platform)
	if err != nil {
		return nil, &Error{"create", err}
	}
	p = platforms.Normalize(p)
	host := s.Host
	host.AutoRemove = s.Remove
	created, err := api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: s.config(), HostConfig: &host, Platform: &p, Name: s.Name,
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: s.Networks},
	})
	if err != nil {
		return nil, &Error{"create", err}
	}
	return &Container{api: api, spec: s, id: created.ID, Warnings: created.Warnings}, nil
}

func (s Spec) config() *container.Config {
	c := &container.Config{
		Image: s.Image, Cmd: s.Args, Env: s.Env, Tty: s.TTY, Entrypoint: s.Entrypoint,
		WorkingDir: s.WorkingDir, User: s.User, Hostname: s.Hostname, Labels: s.Labels,
		AttachStdin: s.Stdin && !s.Detached, AttachStdout: !s.Detached, AttachStderr: !s.Detached,
		OpenStdin: s.Stdin, StdinOnce: s.Stdin && !s.Detached,
		ExposedPorts: network.PortSet{}, Volumes: map[string]struct{}{},
	}
	for port := range s.Host.PortBindings {
		c.ExposedPorts[port] = struct{}{}
	}
	for _, path := range s.Volumes {
		c.Volumes[path] = struct{}{}
	}
	return c
}

// ID returns the container's ID.
func (c *Container) ID() string { return c.id }

// Start starts the container and returns. A container that cannot be started is removed.
func (c *Container) Start(ctx context.Context) error {
	if _, err := c.api.ContainerStart(ctx, c.id, client.ContainerStartOptions{}); err != nil {
		c.Remove(ctx)
		return &Error{"start", err}
	}
	return nil
}

// Remove removes a container that has not run, even if ctx has ended.
func (c *Container) Remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	// The engine may have removed it (Spec.Remove), and the caller cannot do more.
	_, _ = c.api.ContainerRemove(ctx, c.id,
		client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
}
