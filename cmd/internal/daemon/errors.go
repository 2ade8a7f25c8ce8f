package daemon

import (
	"errors"
	"fmt"
)

// Sentinels for errors.Is.
var (
	// ErrUnsupported: the managed BuildKit does not run on this system.
	ErrUnsupported = errors.New("the managed BuildKit needs Linux; use a Docker engine, or name " +
		"a builder by --addr or BUILDKIT_HOST")
	// ErrRights: this user may not run it.
	ErrRights = errors.New("not enough rights for the managed BuildKit")
	// ErrMissingProgram: a program that it needs is not installed.
	ErrMissingProgram = errors.New("a program that the managed BuildKit needs is missing")
	// ErrUnsafe: a folder or a socket belongs to somebody else, or others may change it.
	ErrUnsafe = errors.New("not safe to use")
	// ErrNotRunning: there is no daemon.
	ErrNotRunning = errors.New("the managed BuildKit does not run")
	// ErrHung: there is a daemon, and it neither answers nor ends.
	ErrHung = errors.New("the managed BuildKit does not answer")
	// ErrStart: it ended before it was ready.
	ErrStart = errors.New("the managed BuildKit did not start")
)

// Error is what this package returns, except for the context's own errors. Op is what was under way
// (start, stop, status, prune, logs), Err wraps one of the sentinels or an error of the system.
type Error struct {
	Op  string
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("managed BuildKit: %s: %v", e.Op, e.Err) }

func (e *Error) Unwrap() error { return e.Err }
