package buildkit

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels for errors.Is.
var (
	// ErrNoBuilder: the builder that was named or found does not answer, or stopped answering.
	ErrNoBuilder = errors.New("no builder answers")
	// ErrPlatform: the builder cannot run the platform asked for.
	ErrPlatform = errors.New("builder lacks the platform")
	// ErrFetch: the builder could not fetch the commit.
	ErrFetch = errors.New("builder could not fetch the commit")
	// ErrRefused: the fetched tree asks for something that is not allowed.
	ErrRefused = errors.New("template refused")
	// ErrBuild: the Dockerfile was run and failed.
	ErrBuild = errors.New("build failed")
	// ErrDelivery: the solved image did not reach the image store.
	ErrDelivery = errors.New("delivery failed")
	// ErrChanged: a working tree changed while it was on its way to the builder.
	ErrChanged = errors.New("working tree changed")
	// ErrStalled: nothing moved for too long.
	ErrStalled = errors.New("build stalled")
)

// Error is what every exported function of this package returns: Op is the step (connect, fetch or
// upload, inspect, solve, deliver), Kind one of the sentinels, Err the cause.
type Error struct {
	Op   string
	Kind error
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Op, e.Err) }

// Unwrap makes errors.Is see both the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// StepError is the cause of an [ErrBuild] that BuildKit could place in the Dockerfile.
type StepError struct {
	// Step is the vertex as BuildKit shows it, for example "[2/3] RUN make"; empty if unknown.
	Step string
	// File and Line place the step; Line counts from 1, 0 means unknown.
	File string
	Line int
	// ExitCode of the step's process; 0 if it did not get as far as running.
	ExitCode int
	Err      error
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
