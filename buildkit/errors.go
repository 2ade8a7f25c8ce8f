package buildkit

import (
	"errors"
	"fmt"
	"strings"
)

// The kinds of failure, for errors.Is.
var (
	// ErrNoBuilder: the builder does not answer, or stopped answering.
	ErrNoBuilder = errors.New("no builder answers")
	// ErrPlatform: the builder cannot run a step's programs, since it lacks their platform.
	ErrPlatform = errors.New("builder lacks the platform")
	// ErrFetch: the builder could not fetch the commit.
	ErrFetch = errors.New("builder could not fetch the commit")
	// ErrLFS: an object of Git LFS could not be fetched. The cause says why.
	ErrLFS = errors.New("no object of Git LFS")
	// ErrSubmodule: the repository of a submodule cannot be read. The cause says why.
	ErrSubmodule = errors.New("no repository of a submodule")
	// ErrRefused: the tree contains something that is not allowed, or lacks something.
	ErrRefused = errors.New("template refused")
	// ErrBuild: the Dockerfile ran and failed.
	ErrBuild = errors.New("build failed")
	// ErrSource: a registry or server that the Dockerfile takes an image or a file from is not
	// available to the builder.
	ErrSource = errors.New("source of the Dockerfile unavailable")
	// ErrExhausted: the builder has no more disk or memory.
	ErrExhausted = errors.New("builder exhausted")
	// ErrDelivery: the solved image did not reach the image store.
	ErrDelivery = errors.New("delivery failed")
	// ErrChanged: a working tree changed during its upload to the builder.
	ErrChanged = errors.New("working tree changed")
	// ErrStalled: the build made no progress for too long.
	ErrStalled = errors.New("build stalled")
	// ErrTimeLimit: the build took longer than its time limit.
	ErrTimeLimit = errors.New("build exceeded its time limit")
)

// Error is the error type of this package. Op is what failed (connect, fetch, fetch LFS, fetch
// submodule, upload, inspect, solve, build, deliver or save cache), Kind one of the sentinels, and
// Err the cause.
type Error struct {
	Op   string
	Kind error
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Op, e.Err) }

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// StepError is the cause of an [ErrBuild], [ErrSource], [ErrExhausted] or [ErrPlatform]. It has
// what BuildKit says about the place in the Dockerfile.
type StepError struct {
	// Step is the vertex's name, for example "[2/3] RUN make"; empty if unknown.
	Step string
	// File and Line are the step's place. Line counts from 1; 0 means unknown.
	File string
	Line int
	// ExitCode is that of the step's process; 0 if no process ran.
	ExitCode int
	// Log has the last lines that the step printed, at most 40 lines and 16 KiB, without the
	// secrets of the build and without control characters. The text of the error does not contain
	// it.
	Log []string
	Err error
}

func (e *StepError) Error() string {
	var b strings.Builder
	if e.File != "" && e.Line > 0 {
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	}
	if e.Step != "" {
		fmt.Fprintf(&b, "%s: ", e.Step)
	}
	if e.ExitCode != 0 {
		fmt.Fprintf(&b, "exit code %d: ", e.ExitCode)
	}
	return b.String() + e.Err.Error()
}

func (e *StepError) Unwrap() error { return e.Err }
