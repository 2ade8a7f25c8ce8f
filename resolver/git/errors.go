package git

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid is what every error of this package is, as errors.Is tells.
var ErrInvalid = errors.New("invalid input")

// InputError says which input was refused and why.
type InputError struct {
	Kind   string // what it should have been: "repository URL", "branch", "revision", "subdirectory"
	Input  string // as given, with any URL userinfo masked
	Reason string // why it was refused, and what to write instead
}

// Error quotes the input, so that control characters in it are harmless.
func (e *InputError) Error() string {
	return fmt.Sprintf("invalid %s %q: %s", e.Kind, e.Input, e.Reason)
}

// Is reports that every InputError is an ErrInvalid.
func (e *InputError) Is(target error) bool { return target == ErrInvalid }

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

// maskURL hides what may be a credential: what stands before the last "@", and
// the query. It is greedy, because the URL is known to be malformed.
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
