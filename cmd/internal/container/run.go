package container

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Streams are connected to the container's. They may be terminals.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// noDetachKeys is a sequence that no user types by accident. The engine's default, Ctrl-P Ctrl-Q,
// ends the connection while the container continues, and cannot be disabled.
const noDetachKeys = "ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^"

// Run starts the container, connects it to the streams, forwards the signals, and returns the
// container's exit code when it ends. ctx applies until the container has started; after that only
// signals end it.
//
// The error is an [*Error], or ctx's if it ended before the start.
func (c *Container) Run(
	ctx context.Context, s Streams, signals <-chan os.Signal,
) (exitCode int, err error) {
	// A signal that ends ctx must not end the connection or the wait, since Run forwards it.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	conn, err := c.api.ContainerAttach(running, c.id, client.ContainerAttachOptions{
		Stream: true, Stdin: c.spec.Stdin, Stdout: true, Stderr: true, DetachKeys: noDetachKeys,
	})
	if err != nil {
		c.Remove(ctx)
		return 0, &Error{"attach to", err}
	}
	defer conn.Close()
	until := container.WaitConditionNextExit
	if c.spec.Remove {
		until = container.WaitConditionRemoved
	}
	ended := c.api.ContainerWait(running, c.id, client.ContainerWaitOptions{Condition: until})
	if err := ctx.Err(); err != nil {
		c.Remove(ctx)
		return 0, err
	}
	restore, err := c.connectTerminal(running, s)
	if err != nil {
		c.Remove(ctx)
		return 0, err
	}
	defer restore()
	if err := c.Start(running); err != nil {
		return 0, err
	}
	c.resize(running, s)
	go c.forward(running, signals)
	copied := c.copyStreams(conn.HijackedResponse, s)
	return c.wait(ended, copied)
}

// copyStreams copies in the background. The channel gets a value when all output has been written.
func (c *Container) copyStreams(conn client.HijackedResponse, s Streams) <-chan error {
	if c.spec.Stdin {
		// It may still wait for input when the container has ended. It ends with the process.
		go func() {
			_, _ = io.Copy(conn.Conn, s.In)
			_ = conn.CloseWrite()
		}()
	}
	copied := make(chan error, 1)
	go func() {
		var err error
		if c.spec.TTY {
			_, err = io.Copy(s.Out, conn.Reader)
		} else {
			_, err = stdcopy.StdCopy(s.Out, s.Err, conn.Reader)
		}
		copied <- err
	}()
	return copied
}

// wait returns the exit code when the container has ended and its output has been written.
func (c *Container) wait(ended client.ContainerWaitResult, copied <-chan error) (int, error) {
	select {
	case err := <-ended.Error:
		return 0, &Error{"wait for", err}
	case result := <-ended.Result:
		if result.Error != nil {
			return 0, &Error{"wait for", errors.New(result.Error.Message)}
		}
		if err := <-copied; err != nil {
			return 0, &Error{"read the output of", err}
		}
		return int(result.StatusCode), nil
	}
}
