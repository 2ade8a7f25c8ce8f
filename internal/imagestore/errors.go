package imagestore

import (
	"errors"
	"fmt"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

var (
	// ErrStore marks a failure of the image store: no answer, or a refusal.
	ErrStore = errors.New("image store")
	// ErrRegistry marks a failure of a registry in a pull or a push. ErrNotFound, ErrUnauthorized
	// or ErrUnavailable beside it is the reason.
	ErrRegistry = errors.New("registry")
	// ErrNotFound means that the image store, or the registry of a pull, has no such image.
	ErrNotFound = errdef.ErrNotFound
	// ErrUnreadable means that the store answers, and cannot describe an image that it has. Other
	// images of the store are not concerned.
	ErrUnreadable = errors.New("the image store cannot read the image")
	// ErrUnavailable means that the engine or the registry does not answer.
	ErrUnavailable = errdef.ErrUnavailable
	// ErrUnauthorized means that the registry refused the credentials of the Docker config, or
	// asked for credentials and there are none.
	ErrUnauthorized = errdef.ErrUnauthorized
	// ErrTagFixed means that a registry does not let a name that it has name another image.
	ErrTagFixed = errors.New("the tag cannot be moved")
)

// Origin says which side failed.
type Origin string

// The sides that a request to a store can fail on.
const (
	OriginDocker   Origin = "docker"
	OriginLayout   Origin = "oci layout"
	OriginRegistry Origin = "registry"
)

// Error is the error type of all image stores.
type Error struct {
	// Op is "dial", "open", "context", "info", "inspect", "list", "list containers", "tag",
	// "untag", "remove", "load", "pull", "push", "exec" or "hijack".
	Op     string
	Origin Origin
	Ref    string // the image concerned, or ""
	Err    error  // one of the sentinels with its cause, or the cause alone
}

// Error implements error.
func (e *Error) Error() string {
	parts := []string{string(e.Origin) + ": " + e.Op}
	if e.Ref != "" {
		parts[0] += " " + e.Ref
	}
	return strings.Join(append(parts, e.Err.Error()), ": ")
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// TakenError is a push that a registry refused while the name stands for another image there.
type TakenError struct {
	// Digest of the manifest that the name stands for.
	Digest string
	// Labels of that image; nil if they cannot be read.
	Labels map[string]string
	// Err is the refusal.
	Err error
}

// Error implements error.
func (e *TakenError) Error() string {
	return fmt.Sprintf("%v; it has %s under that name", e.Err, e.Digest)
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *TakenError) Unwrap() error { return e.Err }

// StoreFailure marks an error as the image store's, with ErrStore. nil stays nil.
func StoreFailure(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrStore, err)
}

// Failure marks an error of a pull or a push with ErrRegistry if the registry failed, and with
// ErrStore otherwise. nil stays nil.
func Failure(err error) error {
	if at, ok := errors.AsType[*Error](err); ok && at.Origin == OriginRegistry {
		return registryError{err}
	}
	return StoreFailure(err)
}

// registryError is a registry's failure. It is ErrUnavailable unless it is something more precise.
type registryError struct{ err error }

func (e registryError) Error() string { return ErrRegistry.Error() + ": " + e.err.Error() }

func (e registryError) Unwrap() []error { return []error{ErrRegistry, e.err} }

func (e registryError) Is(target error) bool {
	return target == ErrUnavailable && !errors.Is(e.err, ErrUnauthorized) &&
		!errors.Is(e.err, ErrNotFound)
}
