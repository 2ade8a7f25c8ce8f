package imagestore

import (
	"context"
	"io"
	"net"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/stdio"
)

// DialContainer runs a command in a running container and joins us to its
// standard streams: a way to a server in there that listens nowhere else. The
// engine is asked as `docker exec -i` asks it. The connection outlives ctx and
// the Engine. Errors are *Error, ErrNotFound among them.
func (e *Engine) DialContainer(ctx context.Context, name string,
	command ...string) (net.Conn, error) {
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
	// Both of the command's streams come in one, in frames.
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
