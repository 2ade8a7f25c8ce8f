package docker

import (
	"context"
	"io"
	"net"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/stdio"
)

// DialContainer runs a command in a running container, as `docker exec -i` does, and connects to
// its standard streams. That is a way to a server that listens only inside the container. The
// connection outlives ctx and the Engine. Errors are *imagestore.Error, ErrNotFound among them.
func (e *Engine) DialContainer(
	ctx context.Context, name string, command ...string,
) (net.Conn, error) {
	ctx = withNote(ctx)
	made, err := e.api.ExecCreate(ctx, name, client.ExecCreateOptions{
		Cmd: command, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return nil, e.fail(ctx, "exec", name, err)
	}
	streams, err := e.api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return nil, e.fail(ctx, "exec", name, err)
	}
	// The command's two streams come multiplexed in one.
	out, frames := io.Pipe()
	conn := stdio.New("container "+name, streams.Conn, out, func() error {
		err := streams.Conn.Close()
		out.Close()
		return err
	})
	go func() {
		_, err := stdcopy.StdCopy(frames, conn.Stderr(), streams.Reader)
		frames.CloseWithError(err)
	}()
	return conn, nil
}
