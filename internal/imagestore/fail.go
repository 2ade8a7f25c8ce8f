package imagestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// answerWithin bounds every request that an engine answers from what it knows. Loading and pulling
// have no bound.
const answerWithin = 30 * time.Second

var errSlow = fmt.Errorf("no answer within %s", answerWithin)

// brief is the context for a request that is answered at once or not at all.
func brief(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, answerWithin, errSlow)
}

// fail makes the package's error of what the Docker client returned.
func (e *Engine) fail(ctx context.Context, op, ref string, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errSlow):
		err = fmt.Errorf("the engine at %s %w: %w; restart it, or choose another with --host, "+
			"--context or DOCKER_HOST",
			e.endpoint, ErrUnavailable, errSlow)
	case ctx.Err() != nil:
		// However the connection ended, it ended because the caller wanted so.
		err = ctx.Err()
		if cause := context.Cause(ctx); !errors.Is(cause, err) {
			err = fmt.Errorf("%w: %w", err, cause)
		}
	case brokenConnection(err):
		err = fmt.Errorf("the engine at %s %w: %w; start it, check that you may use its socket, "+
			"choose another with --host, --context or DOCKER_HOST, or build without one into a "+
			"folder with --store oci:DIR", e.endpoint, ErrUnavailable, err)
	case cerrdefs.IsNotFound(err):
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return &Error{Op: op, Origin: OriginDocker, Ref: ref, Err: err}
}

// brokenConnection tells an engine that is not there, or went away, from one
// that answered.
func brokenConnection(err error) bool {
	var netErr net.Error
	return client.IsErrConnectionFailed(err) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.As(err, &netErr)
}
