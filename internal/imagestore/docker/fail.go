package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

const (
	// answerWithin bounds every request that an engine can answer at once. Loads and pulls have no
	// bound.
	answerWithin = 30 * time.Second
	// workWithin bounds a request for which an engine reads or removes much: the list of all
	// images, and the removal of an image with its layers.
	workWithin = 10 * time.Minute
)

// slowError is the cause of the end of a request that took too long.
type slowError time.Duration

func (e slowError) Error() string { return fmt.Sprintf("no answer within %s", time.Duration(e)) }

// brief returns the context of a request that the engine can answer at once.
func brief(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(withNote(ctx), answerWithin, slowError(answerWithin))
}

// patient returns the context of a request for which the engine has to work.
func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(withNote(ctx), workWithin, slowError(workWithin))
}

// fail makes an *imagestore.Error of an error that the Docker client returned.
func (e *Engine) fail(ctx context.Context, op, ref string, err error) error {
	err = errtext.Plain(err)
	proxy := noteOf(ctx)
	slow, isSlow := errors.AsType[slowError](context.Cause(ctx))
	switch {
	case isSlow:
		err = errdef.In(errdef.EngineSlow, e.endpoint, fmt.Errorf("%w: the engine at %s: %w",
			imagestore.ErrUnavailable, e.endpoint, slow))
	case ctx.Err() != nil:
		// The connection ended because the caller ended it.
		err = ctx.Err()
		if cause := context.Cause(ctx); !errors.Is(cause, err) {
			err = fmt.Errorf("%w: %w", err, cause)
		}
	case proxy != nil:
		err = proxy.error(e.endpoint)
	case isTooDeep(err):
		err = errdef.In(errdef.TooManyLayers, "", fmt.Errorf(
			"the image has more layers than the engine's image store takes: %w", err))
	case e.fixedVersion != "" && cerrdefs.IsInvalidArgument(err) &&
		strings.Contains(err.Error(), "client version "):
		err = errdef.In(errdef.APIVersionFixed, e.fixedVersion, fmt.Errorf(
			"%s is set to %s, which the engine at %s does not speak: %w", apiVersionEnv,
			e.fixedVersion, e.endpoint, err))
	case brokenConnection(err):
		err = errdef.In(errdef.EngineUnreachable, e.endpoint,
			fmt.Errorf("%w: the engine at %s does not answer: %w", imagestore.ErrUnavailable,
				e.endpoint, err))
	case cerrdefs.IsNotFound(err):
		err = fmt.Errorf("%w: %w", imagestore.ErrNotFound, err)
	}
	return &imagestore.Error{Op: op, Origin: imagestore.OriginDocker, Ref: ref, Err: err}
}

// isTooDeep reports whether a classic store refused an image for its layers: it takes 125 from a
// load or a pull (moby, daemon/internal/layer, maxLayerDepth). Only the text shows that.
func isTooDeep(err error) bool { return strings.HasSuffix(err.Error(), "max depth exceeded") }

// brokenConnection reports whether the engine is not there or went away. It is false for an engine
// that answered.
func brokenConnection(err error) bool {
	var netErr net.Error
	return client.IsErrConnectionFailed(err) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.As(err, &netErr)
}
