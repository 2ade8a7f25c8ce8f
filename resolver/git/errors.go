package git

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrInvalid is the kind of every error of this package, for errors.Is.
	ErrInvalid = errors.New("invalid input")
	// ErrPlainHTTP is the kind of the error for an http URL of a host that isn't loopback, besides
	// ErrInvalid.
	ErrPlainHTTP = errors.New("http is only allowed for loopback hosts")
)

// InputError says which input was refused and why.
type InputError struct {
	Kind   string // of input: "repository URL", "branch", "revision", "pull request", ...
	Input  string // the refused input, with any URL userinfo masked
	Reason string // why it was refused, and what to write instead
}

// Error quotes the input, so that control characters in it are harmless.
func (e *InputError) Error() string {
	return fmt.Sprintf("invalid %s %q: %s", e.Kind, e.Input, e.Reason)
}

// Is reports whether target is ErrInvalid, or the more precise kind of the error.
func (e *InputError) Is(target error) bool {
	return target == ErrInvalid || target == ErrPlainHTTP && e.Reason == ErrPlainHTTP.Error()
}

// maxShown is how much of a refused input an error repeats, in bytes.
const maxShown = 200

func invalid(kind, input, reason string) error {
	if kind == urlKind {
		input = maskURL(input)
	}
	if len(input) > maxShown {
		input = input[:maxShown] + "..."
	}
	return &InputError{Kind: kind, Input: input, Reason: reason}
}

// maskURL masks everything before the last "@", and the query: either may hold a
// credential. It masks more than needed, because the URL is malformed.
func maskURL(raw string) string {
	if i := strings.IndexByte(raw, '?'); i >= 0 {
		raw = raw[:i] + "?***"
	}
	at := strings.LastIndexByte(raw, '@')
	if at < 0 {
		return raw
	}
	start := 0
	if i := strings.Index(raw, "://"); i >= 0 && i+3 <= at {
		start = i + 3
	}
	return raw[:start] + "***" + raw[at:]
}
