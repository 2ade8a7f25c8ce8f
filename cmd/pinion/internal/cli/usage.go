package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	catalogue "git.moleculesai.app/molecule-ai/pinion/resolver"
)

// usageError is a call that is refused for its arguments.
type usageError struct {
	err error
	// path of the command whose help says more, for example "pinion ensure"; Run sets it.
	path string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// flagError is cobra's hook for flags that do not parse.
func flagError(_ *cobra.Command, err error) error { return &usageError{err: err} }

// positional makes what a check of the arguments says a usage error.
func positional(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{err: err}
		}
		return nil
	}
}

// someNames wants at least one template's name.
func someNames(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return usage("no template is named: give one of %s, or of your config file",
		strings.Join(catalogue.KnownRuntimes(), ", "))
}

// oneName wants exactly one.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage("%s takes one template's name, and %d were given", cmd.CommandPath(),
			len(args))
	}
	return someNames(cmd, args)
}

// noCommand is what the root says to an argument that is no verb.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		text += "; did you mean " + strings.Join(s, " or ") + "?"
	}
	return usage("%s", text)
}

// oneOf checks the value of a flag that names a choice.
func oneOf(flag, value string, choices ...string) error {
	for _, c := range choices {
		if value == c {
			return nil
		}
	}
	return usage("--%s %q: choose one of %s", flag, value, strings.Join(choices, ", "))
}
