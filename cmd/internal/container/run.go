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

// Streams are what the container is joined to. A terminal among them is used as one.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// noDetachKeys is a sequence that nobody types: the engine's default, Ctrl-P Ctrl-Q, would end the
// connection while the container goes on, and cannot be switched off.
const noDetachKeys = "ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^"

// Run starts the container, is its input and output until it ends, hands on the signals to it and
// returns its exit code. ctx counts until the container has been started: then the signals are what
// ends it.
//
// The error is an [*Error], or ctx's where it was not started for that reason.
func (c *Container) Run(ctx context.Context, s Streams,
	signals <-chan os.Signal) (exitCode int, err error) {
	// Neither the connection nor the wait may end with the signal that is to be handed on.
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
	restore, err := c.joinTerminal(running, s)
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
	shown := c.join(conn.HijackedResponse, s)
	return c.end(ended, shown)
}

// join copies in the background. The channel gets a value when all output has been written.
func (c *Container) join(conn client.HijackedResponse, s Streams) <-chan error {
	if c.spec.Stdin {
		// It may wait for input when the container has ended; the process ends then.
		go func() {
			_, _ = io.Copy(conn.Conn, s.In)
			_ = conn.CloseWrite()
		}()
	}
	shown := make(chan error, 1)
	go func() {
		var err error
		if c.spec.TTY {
			_, err = io.Copy(s.Out, conn.Reader)
		} else {
			_, err = stdcopy.StdCopy(s.Out, s.Err, conn.Reader)
		}
		shown <- err
	}()
	return shown
}

// end waits for the container and for its last output.
func (c *Container) end(ended client.ContainerWaitResult, shown <-chan error) (int, error) {
	select {
	case err := <-ended.Error:
		return 0, &Error{"wait for", err}
	case got := <-ended.Result:
		if got.Error != nil {
			return 0, &Error{"wait for", errors.New(got.Error.Message)}
		}
		if err := <-shown; err != nil {
			return 0, &Error{"show the output of", err}
		}
		return int(got.StatusCode), nil
	}
}
