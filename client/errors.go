package client

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoServer means that no server answered: none runs at the address, or the connection broke.
var ErrNoServer = errors.New("no server answers")

// Class sorts failures. The classes are those of the library and of the command's exit codes.
type Class string

// The classes of failures. A newer server may have others.
const (
	// ClassUsage means that the request or a setting of the server is invalid.
	ClassUsage Class = "usage"
	// ClassNotFound means that there is no such template, repository or commit.
	ClassNotFound Class = "not-found"
	// ClassUnauthorized means that a git server or registry refused the server's credential.
	ClassUnauthorized Class = "unauthorized"
	// ClassUnreachable means that a git server or registry does not answer.
	ClassUnreachable Class = "unreachable"
	// ClassNoBuilder means that no builder answers, or that it lacks the platform.
	ClassNoBuilder Class = "no-builder"
	// ClassStore means that the image store does not answer or did not take the image.
	ClassStore Class = "image-store"
	// ClassVerification means that the delivered image is not the one that was built.
	ClassVerification Class = "verification"
	// ClassLock means that another process holds the lock on the image.
	ClassLock Class = "lock"
	// ClassBuild means that the template's Dockerfile failed or was refused.
	ClassBuild Class = "build"
	// ClassStalled means that the build made no progress for too long.
	ClassStalled Class = "stalled"
	// ClassTimeLimit means that the build took longer than its time limit.
	ClassTimeLimit Class = "time-limit"
	// ClassCancelled means that the caller withdrew, or that the server is ending.
	ClassCancelled Class = "cancelled"
	// ClassGeneral is any other failure.
	ClassGeneral Class = "general"
)

// messages are those of the library. They are fixed, so they hold no name, address or output.
var messages = map[Class]string{
	ClassUsage:        "The request or a setting is not valid.",
	ClassNotFound:     "There is no such template, repository, commit or image.",
	ClassUnauthorized: "A git server or registry did not accept the credentials.",
	ClassUnreachable:  "A git server, registry or download is not available. Try again later.",
	ClassNoBuilder:    "The builder is not available. Try again later.",
	ClassStore:        "The image store is not available. Try again later.",
	ClassVerification: "The image is not the one that was built, so it is not used.",
	ClassLock:         "Another process is building this image. Try again later.",
	ClassBuild:        "The template's build failed. It needs a change of the template.",
	ClassStalled:      "The build made no progress for too long. Try again later.",
	ClassTimeLimit:    "The build took longer than its time limit. Try again later.",
	ClassCancelled:    "The build was cancelled.",
	ClassGeneral:      "The image could not be made.",
}

// Message returns a sentence that is safe to show to an end user: it is a function of the class
// alone.
func (c Class) Message() string {
	if text, ok := messages[c]; ok {
		return text
	}
	return messages[ClassGeneral]
}

// problemType is the prefix of a problem's type.
const problemType = "urn:pinion:problem:"

// Error is a failure that the server reported, or the end of a context during a request.
type Error struct {
	Name  string // of the template; empty if the request was about none
	Class Class
	// Kind is the kind of problem. It is the class, or the server's own refusal, such as "draining"
	// or "unauthenticated". It is empty for a failed build.
	Kind   string
	Status int    // of HTTP; 0 for a failed build
	Title  string // safe to show, as [Class.Message] is
	// Message has the details for the log of an operator. It is redacted by the server.
	Message  string
	Origin   string // "git server", "buildkit" and the like
	ExitCode int    // of `pinion ensure`; 0 for a failed build
	// Step is the name of the step that failed, such as "[2/3] RUN make"; empty if none did.
	Step string
	// Log has the last lines that the failed step printed, redacted by the server.
	Log []string
	// Checks are what BuildKit remarked on the Dockerfile before the build failed.
	Checks []Check

	cause error // of the context, or nil
}

// Error returns the details in one line, without Log.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.Title
	}
	if e.Name != "" && e.Origin == "" {
		return fmt.Sprintf("%s: %s", e.Name, text)
	}
	return text // it names the template and the origin
}

// Unwrap returns the context's error, if the context ended.
func (e *Error) Unwrap() error { return e.cause }

// ClassOf returns the class of an error of this package. nil has none.
func ClassOf(err error) Class {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Class
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return ClassCancelled
	default:
		return ClassGeneral
	}
}

// isKind reports whether an error is a server's refusal of that kind.
func isKind(err error, kind string) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}
