package flags

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Error rejects a call because of its arguments.
type Error struct {
	err error
	// Path is the command whose help explains the arguments, for example "pinion ensure".
	Path string
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Errorf returns an *Error with a formatted text.
func Errorf(format string, args ...any) error { return &Error{err: fmt.Errorf(format, args...)} }

// ParseError is cobra's hook for flags that cannot be parsed.
func ParseError(_ *cobra.Command, err error) error { return &Error{err: err} }

// Positional turns the errors of a check of the arguments into an *Error.
func Positional(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &Error{err: err}
		}
		return nil
	}
}

// SomeNames requires at least one template's name.
func SomeNames(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return Errorf("the name of a template is missing: use one of %s, or one of your config file",
		strings.Join(resolver.KnownRuntimes(), ", "))
}

// OneName requires exactly one template's name.
func OneName(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return Errorf("%s takes one template's name, not %d", cmd.CommandPath(), len(args))
	}
	return SomeNames(cmd, args)
}

// NoCommand rejects arguments of a command that has only subcommands, and suggests similar ones.
func NoCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		text += "; did you mean " + strings.Join(s, " or ") + "?"
	}
	return Errorf("%s", text)
}

// OneOf checks the value of a flag that takes one of several choices.
func OneOf(flag, value string, choices ...string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return Errorf("--%s %q: choose one of %s", flag, value, strings.Join(choices, ", "))
}
