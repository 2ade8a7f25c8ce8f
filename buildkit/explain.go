package buildkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"

	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

// explain gives BuildKit's error a kind. What died is found by asking, not by reading the message.
func (s *solve) explain(ctx context.Context, err error) error {
	var ours *Error
	if s.failed != nil {
		ours = s.failed
	} else {
		errors.As(err, &ours)
	}
	endpoint := s.builder.info.Endpoint
	if connectionLost(err) || s.builder.alive(ctx) != nil {
		advice := "start it and ask again"
		switch s.builder.info.Kind {
		case KindManaged:
			advice = "ask again, which starts another one"
		case KindBuildx:
			advice = "start it with `" + s.builder.info.bootstrap() + "` and ask again"
		}
		return &Error{Op: "solve", Kind: ErrNoBuilder, Err: fmt.Errorf(
			"builder %s stopped answering in the middle of the build; %s: %w", endpoint, advice,
			harmless(err))}
	}
	switch {
	case ours == nil:
		return &Error{Op: "build", Kind: ErrBuild, Err: s.place(err)}
	case errors.Is(ours.Kind, ErrFetch) && ours.Op != "upload":
		return &Error{Op: "fetch", Kind: ErrFetch, Err: fmt.Errorf(
			"builder %s, by its own network and proxy settings: %w", endpoint, harmless(ours.Err))}
	default:
		return ours
	}
}

// connectionLost says that the builder was cut off, though it may be back by now: an error of a
// step comes with the vertex's digest, one of the transport with nothing.
func connectionLost(err error) bool {
	_, inStep := errors.AsType[*errdefs.VertexError](err)
	return !inStep && grpcerrors.Code(err) == codes.Unavailable
}

// place finds the step, the Dockerfile's line and the exit code in BuildKit's typed error; where
// the builder sends none (Docker 20.10), in the name of the vertex that failed and at the end of
// the message.
func (s *solve) place(err error) error {
	step := &StepError{Step: s.watch.failed, Err: harmless(err)}
	var exit *gatewaypb.ExitError
	if errors.As(err, &exit) {
		step.ExitCode = int(exit.ExitCode)
	} else if _, code, ok := strings.Cut(err.Error(), ": exit code: "); ok {
		step.ExitCode, _ = strconv.Atoi(code)
	}
	if src := errdefs.Sources(err); len(src) > 0 {
		last := src[len(src)-1]
		if last.Info != nil {
			step.File = termtext.Sanitize(last.Info.Filename)
		}
		if len(last.Ranges) > 0 {
			step.Line = int(last.Ranges[0].Start.Line)
		}
	} else if step.Line = lineOf(s.dockerfile, s.watch.failed); step.Line > 0 {
		step.File = s.req.Dockerfile
	}
	return step
}

// lineOf finds the instruction that a vertex like "[build 2/3] RUN make" stands for. 0 if none or
// several fit.
func lineOf(dockerfile []byte, vertex string) int {
	_, instruction, ok := strings.Cut(vertex, "] ")
	if !ok {
		return 0
	}
	ast, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return 0
	}
	line := 0
	for _, n := range ast.AST.Children {
		if termtext.Sanitize(n.Original) != instruction {
			continue
		}
		if line != 0 {
			return 0
		}
		line = n.StartLine
	}
	return line
}

// cleanError shows an error's text without control characters and keeps its chain.
type cleanError struct{ error }

func harmless(err error) error { return cleanError{err} }

func (e cleanError) Error() string { return termtext.Sanitize(e.error.Error()) }
func (e cleanError) Unwrap() error { return e.error }
