package resolver

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// The kinds of this package's errors, for errors.Is.
var (
	// ErrUnknownTemplate: the name isn't in the catalogue.
	ErrUnknownTemplate = errors.New("unknown template")
	// ErrNotFound: the repository or branch is missing, not mirrored, moved or empty.
	ErrNotFound = errdef.ErrNotFound
	// ErrUnauthorized: the server requires a credential, or refused the one it got.
	ErrUnauthorized = errdef.ErrUnauthorized
	// ErrRateLimited: the server asks for a pause; see RateLimitError.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnavailable: the server can't be reached, is too slow, or fails after retries.
	ErrUnavailable = errdef.ErrUnavailable
	// ErrInvalidAnswer: the answer breaks Git's protocol or the forge's API.
	ErrInvalidAnswer = errors.New("invalid answer")
	// ErrNotOnBranch: a commit isn't, or can't be shown to be, on a branch.
	ErrNotOnBranch = errors.New("not on the branch")
	// ErrInvalidInput: a URL, branch, name or configuration is malformed.
	ErrInvalidInput = git.ErrInvalid
)

// errServerUnavailable is an ErrUnavailable that names the side.
var errServerUnavailable = fmt.Errorf("git server %w", ErrUnavailable)

// Error is the typed error of this package's boundary. Its text is free of the
// client's tokens and of terminal control sequences.
type Error struct {
	Op     string     // what was tried: "look up refs/heads/main of", "read config"
	Remote git.Remote // the repository it was tried on, zero if none
	Err    error      // the cause
}

// Error joins the parts.
func (e *Error) Error() string {
	text := e.Op
	if !e.Remote.IsZero() {
		text += " " + e.Remote.String()
	}
	return shorten(termtext.Sanitize(text + ": " + e.Err.Error()))
}

// shorten bounds what a server's words add to an error. It comes last:
// half a token, cut off before the redaction, would not be found by it.
func shorten(s string) string {
	const most = 2000 // bytes
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// quoteAnswer quotes a server's words in full, for a redactor to see.
func quoteAnswer(s string) string { return strconv.Quote(s) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// MovedError says that the server redirected to another repository on the same
// host. It was not followed. It is an ErrNotFound.
type MovedError struct {
	From git.Remote // as asked for
	To   git.Remote // as the server's Location header gives it
}

// Error returns a text with the new URL.
func (e *MovedError) Error() string {
	return fmt.Sprintf("the repository has moved to %s: use the new URL in the catalogue, or set "+
		"redirects for its host under servers in the config file", e.To)
}

// Is reports whether target is ErrNotFound.
func (e *MovedError) Is(target error) bool { return target == ErrNotFound }

// RateLimitError has the pause that the server asks for (RFC 9110, section
// 10.2.3). It is an ErrRateLimited.
type RateLimitError struct {
	RetryAfter time.Duration // 0 if the server didn't say
}

// Error gives the time to wait.
func (e *RateLimitError) Error() string {
	if e.RetryAfter == 0 {
		return "rate limited by the server: try again later"
	}
	return fmt.Sprintf("rate limited by the server: try again in %s", e.RetryAfter)
}

// Is reports whether target is ErrRateLimited.
func (e *RateLimitError) Is(target error) bool { return target == ErrRateLimited }
