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

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

// explain gives an error of BuildKit a kind. It asks the builder whether it is alive, and does not
// rely on messages for that.
func (s *solve) explain(ctx context.Context, err error) error {
	if refusal := s.builder.session.Load(); refusal != nil {
		return refusal
	}
	endpoint := s.builder.info.Endpoint
	if connectionLost(err) || s.builder.alive(ctx) != nil {
		situation, detail := s.builder.info.down()
		return &Error{Op: "solve", Kind: ErrNoBuilder, Err: errdef.In(situation, detail, fmt.Errorf(
			"builder %s stopped answering in the middle of the build: %w", endpoint,
			harmless(err)))}
	}
	ours := s.ownError(err)
	switch {
	case ours == nil:
		return s.buildError(err)
	case errors.Is(ours.Kind, ErrFetch) && exhausted(ours.Err.Error()):
		return &Error{Op: ours.Op, Kind: ErrExhausted,
			Err: advised(ErrExhausted, endpoint, harmless(ours.Err))}
	case errors.Is(ours.Kind, ErrFetch) && isEmptyTree(ours.Err.Error()):
		return &Error{Op: "inspect", Kind: ErrRefused, Err: errors.New("the commit has no files")}
	case errors.Is(ours.Kind, ErrFetch) && ours.Op != "upload":
		return &Error{Op: "fetch", Kind: ErrFetch, Err: fmt.Errorf(
			"builder %s, by its own network and proxy settings: %w", endpoint, harmless(ours.Err))}
	default:
		return ours
	}
}

// buildError returns the error of a build that failed by what its Dockerfile says or does.
func (s *solve) buildError(err error) error {
	if wrong := s.platformFault(err); wrong != nil {
		return wrong
	}
	kind, step := faultOf(s.statuses.failed.name, err), s.place(err)
	if errors.Is(kind, ErrBuild) && saysExhausted(step) {
		kind = ErrExhausted
	}
	if errors.Is(kind, ErrBuild) && !s.req.KeepGitDir && wantsGitDir(step) {
		return &Error{Op: "build", Kind: kind, Err: errdef.In(errdef.GitDirWanted, "", step)}
	}
	return &Error{Op: "build", Kind: kind,
		Err: advised(kind, s.builder.info.Endpoint, step)}
}

// ownError returns the [*Error] of this package that failed the attempt, or nil. If the single
// commit was refused before, the error says so too.
func (s *solve) ownError(err error) (ours *Error) {
	if s.failed == nil {
		errors.As(err, &ours)
		return ours
	}
	if refusal := s.attempt.commitRefused; refusal != nil {
		return &Error{Op: s.failed.Op, Kind: s.failed.Kind,
			Err: fmt.Errorf("%w (asked for the single commit: %w)", s.failed.Err, refusal)}
	}
	return s.failed
}

// connectionLost reports whether the connection to the builder broke, even if the builder answers
// again by now. An error of a step comes with the vertex's digest, an error of the transport with
// none.
func connectionLost(err error) bool {
	_, inStep := errors.AsType[*errdefs.VertexError](err)
	return !inStep && grpcerrors.Code(err) == codes.Unavailable
}

// place finds the step, the Dockerfile's line and the exit code in BuildKit's typed error. Docker
// 20.10 sends no typed error; there they come from the name of the failed vertex and the end of the
// message.
func (s *solve) place(err error) *StepError {
	failed := s.statuses.failed
	step := &StepError{Step: failed.name, Log: failed.log, Err: harmless(err)}
	step.ExitCode, _ = exitCode(err)
	if src := errdefs.Sources(err); len(src) > 0 {
		last := src[len(src)-1]
		if last.Info != nil {
			step.File = termtext.Sanitize(last.Info.Filename)
		}
		if len(last.Ranges) > 0 {
			step.Line = int(last.Ranges[0].Start.Line)
		}
	} else if step.Line = lineOf(s.dockerfile, failed.name); step.Line > 0 {
		step.File = s.req.filename()
	}
	return step
}

// exitCode returns the exit code of the step that failed, if a process of a step did.
func exitCode(err error) (code int, ok bool) {
	if exit, typed := errors.AsType[*gatewaypb.ExitError](err); typed {
		return int(exit.ExitCode), true
	}
	if _, text, cut := strings.Cut(err.Error(), ": exit code: "); cut {
		code, parseErr := strconv.Atoi(text)
		return code, parseErr == nil
	}
	return 0, false
}

// lineOf returns the line of the instruction that a vertex like "[build 2/3] RUN make" stands for,
// or 0 if none or several match.
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

// cleanError is an error whose text has no control characters. Its chain stays as it is.
type cleanError struct{ error }

func harmless(err error) error { return cleanError{err} }

func (e cleanError) Error() string { return termtext.Sanitize(e.error.Error()) }
func (e cleanError) Unwrap() error { return e.error }
