package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpColumns is the width of the help.
const helpColumns = 100

// printUsage prints a command's usage like cobra does, but wraps the descriptions of flags.
func printUsage(cmd *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:")
	if cmd.Runnable() {
		b.WriteString("\n  " + cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n  " + cmd.CommandPath() + " [command]")
	}
	if len(cmd.Aliases) > 0 {
		b.WriteString("\n\nAliases:\n  " + cmd.NameAndAliases())
	}
	if cmd.HasExample() {
		b.WriteString("\n\nExamples:\n" + cmd.Example)
	}
	subcommands := func(title string, show func(*cobra.Command) bool) {
		for _, sub := range cmd.Commands() {
			if show(sub) {
				b.WriteString(title)
				title = ""
				fmt.Fprintf(&b, "\n  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	subcommands("\n\nCommands:", func(sub *cobra.Command) bool {
		return sub.IsAvailableCommand() || sub.Name() == "help"
	})
	flagUsages(&b, "Flags", cmd.LocalFlags())
	flagUsages(&b, "Global flags", cmd.InheritedFlags())
	subcommands("\n\nHelp topics:", (*cobra.Command).IsAdditionalHelpTopicCommand)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n\nRun \"%s [command] --help\" for more about a command.",
			cmd.CommandPath())
	}
	_, err := fmt.Fprintln(cmd.OutOrStderr(), b.String())
	return err
}

func flagUsages(b *strings.Builder, title string, fs *pflag.FlagSet) {
	if fs.HasAvailableFlags() {
		b.WriteString("\n\n" + title + ":\n" +
			strings.TrimRight(fs.FlagUsagesWrapped(helpColumns), "\n"))
	}
}
