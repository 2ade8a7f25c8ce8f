package imagestore

import (
	"errors"
	"strings"
)

var (
	// ErrNotFound says that the image store (or the registry, for a pull) has
	// no such image.
	ErrNotFound = errors.New("no such image")
	// ErrUnavailable says that the engine or the registry does not answer.
	ErrUnavailable = errors.New("does not answer")
	// ErrUnauthorized says that the registry refused the credentials of the
	// Docker config, or wants some and there are none.
	ErrUnauthorized = errors.New("not authorised")
	// ErrConfig says that the Docker configuration does not lead to an engine:
	// an unknown context, a malformed host or file.
	ErrConfig = errors.New("invalid Docker configuration")
	// ErrNoLayout says that a folder is no OCI image layout, or a broken one.
	ErrNoLayout = errors.New("not an OCI image layout")
)

// Origin says which side failed.
type Origin string

// The sides that a request to a store can fail on.
const (
	OriginDocker   Origin = "docker"
	OriginLayout   Origin = "oci layout"
	OriginRegistry Origin = "registry"
)

// Error is the one error type of this package.
type Error struct {
	Op     string // "dial", "open", "info", "inspect", "list", "list containers", "tag", "untag", "load", "pull", "push" or "hijack"
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
