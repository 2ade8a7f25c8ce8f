// Package errdef has the error kinds that several packages share, and the situations that a program
// can advise its user on.
package errdef

import "errors"

// The kinds of failure that git servers, registries and engines have in common. The packages that
// return them re-export them.
var (
	// ErrNotFound: there is no such repository, commit or image, or the caller may not see it.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized: the other side needs another credential.
	ErrUnauthorized = errors.New("not authorized")
	// ErrUnavailable: the other side does not answer, or cannot at the moment.
	ErrUnavailable = errors.New("unavailable")
)
