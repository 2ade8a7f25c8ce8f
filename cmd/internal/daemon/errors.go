package daemon

import (
	"errors"
	"fmt"
)

// Sentinels for errors.Is.
var (
	// ErrUnsupported: the managed BuildKit does not run on this system.
	ErrUnsupported = errors.New("the managed BuildKit requires Linux; use a Docker engine, or " +
		"name a builder with --addr or BUILDKIT_HOST")
	// ErrRights: this user may not run it.
	ErrRights = errors.New("not enough rights for the managed BuildKit")
	// ErrMissingProgram: a required program is not installed.
	ErrMissingProgram = errors.New("a program that the managed BuildKit requires is missing")
	// ErrUnsafe: another user owns, or may change, a folder or a socket.
	ErrUnsafe = errors.New("not safe to use")
	// ErrNotRunning: there is no daemon.
	ErrNotRunning = errors.New("the managed BuildKit is not running")
	// ErrHung: a daemon is running, but it neither responds nor ends.
	ErrHung = errors.New("the managed BuildKit does not respond")
	// ErrStart: the daemon ended before it was ready.
	ErrStart = errors.New("the managed BuildKit did not start")
)

// Error is the error of this package, except for the context's own errors. Op is the operation
// (start, stop, status, prune, logs). Err wraps one of the sentinels or an error of the system.
type Error struct {
	Op  string
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("managed BuildKit: %s: %v", e.Op, e.Err) }

func (e *Error) Unwrap() error { return e.Err }
